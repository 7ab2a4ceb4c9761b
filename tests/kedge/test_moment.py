"""Datetimes as they are written: with an offset or without, never both, never an error."""

from datetime import UTC, datetime

import polars as pl
import pytest

from kedge.moment import local, moment


def read(text):
    frame = pl.DataFrame({"text": [text]}, schema={"text": pl.String})
    return frame.select(local(pl.col("text")).alias("local"), moment(pl.col("text")).alias("moment")).row(0)


@pytest.mark.parametrize("text", ["2026-01-31 23:59", "2026-01-31T23:59:00", "2026-01-31 23:59:00.000"])
def test_without_an_offset_it_is_local(text):
    assert read(text) == (datetime(2026, 1, 31, 23, 59), None)


@pytest.mark.parametrize("text", ["2026-01-31T23:59Z", "2026-02-01 00:59:00+01:00", "2026-01-31T18:59:00.0-0500"])
def test_with_an_offset_it_is_a_moment_in_utc(text):
    assert read(text) == (None, datetime(2026, 1, 31, 23, 59, tzinfo=UTC))


@pytest.mark.parametrize("text", [None, "", "Quintessa", "2026-01-31", "31.01.2026 23:59", "2026-02-30 12:00", "Z"])
def test_what_is_no_datetime_is_missing(text):
    assert read(text) == (None, None)
