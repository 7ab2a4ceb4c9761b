from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.quality.typed import is_broken, prepared, prepared_value, typed
from kedge.spec import Column


def cells(kind, *texts):
    """(value, broken) of each text."""
    column = Column(type=kind)
    frame = pl.DataFrame({"x": list(texts)}, schema={"x": pl.String})
    parsed = prepared(frame.lazy(), {"x": column})
    return (
        parsed.select(prepared_value("x", column).alias("value"), is_broken("x", column).alias("broken"))
        .collect()
        .rows()
    )


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("integer", "007", 7), ("integer", "-999999999999999999", -999999999999999999), ("integer", "+5", 5),
        ("float", "1e3", 1000.0), ("float", ".5", 0.5), ("float", "-2.", -2.0), ("float", "1e-310", 1e-310),
        ("bool", "YES", True), ("bool", "0", False), ("bool", "f", False), ("bool", "T", True),
        ("date", "2000-02-29", date(2000, 2, 29)), ("date", "9999-12-31", date(9999, 12, 31)),
        ("datetime", "2026-01-31T07:05", datetime(2026, 1, 31, 7, 5)),
        ("datetime", "2026-01-31 23:59:59", datetime(2026, 1, 31, 23, 59, 59)),
        ("datetime", "2026-01-31T23:59:59.000001", datetime(2026, 1, 31, 23, 59, 59, 1)),
        ("datetime", "2026-01-31T23:30-02:00", datetime(2026, 2, 1, 1, 30)),
        ("string", "Zoe\u0308", "Zoë"), ("category", "", ""),
    ],
)  # fmt: skip
def test_values(kind, text, expected):
    assert cells(kind, text) == [(expected, False)]


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        ("integer", ["1.0", "9" * 19, "9" * 30, "twelve", ""]),
        ("float", ["nan", "inf", "-inf", "1e308", "1e999", "1,5", ""]),
        ("bool", ["maybe", "2"]),
        ("date", ["2026-02-29", "2026-13-01", "yesterday"]),
        ("datetime", ["2026-01-31 25:00", "2026-01-31"]),
        ("string", ["a\x00", "x" * 100_001]),
    ],
)
def test_what_is_no_value_is_broken_and_never_an_error(kind, texts):
    assert [broken for _, broken in cells(kind, *texts)] == [True] * len(texts)


def test_a_missing_cell_is_not_broken():
    for kind in ("string", "category", "bool", "integer", "float", "date", "datetime"):
        assert cells(kind, None) == [(None, False)]


offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1000, 1, 3), datetime(9999, 12, 29), timezones=offsets))
def test_a_moment_with_an_offset_is_moved_to_utc(moment):
    expected = moment.astimezone(UTC).replace(tzinfo=None)
    assert cells("datetime", moment.isoformat()) == [(expected, False)]


@given(st.datetimes(min_value=datetime(1000, 1, 1)))
def test_times_keep_their_microseconds(moment):
    assert cells("datetime", moment.isoformat()) == [(moment, False)]


@given(st.floats(min_value=-1e99, max_value=1e99))
def test_numbers_keep_their_bits(number):
    assert cells("float", repr(number)) == [(number, False)]


def test_the_frame_has_the_declared_order_and_types(declare, deliver):
    columns = declare().columns
    shuffled = deliver(3).select(["_row", *reversed(columns)])
    assert typed(shuffled.lazy(), columns).collect_schema() == {
        "id": pl.String, "email": pl.String, "phone": pl.String, "born": pl.Date, "seen": pl.Datetime("us"),
        "balance": pl.Float64, "months": pl.Int64, "number": pl.Int64, "plan": pl.String, "left": pl.Boolean,
        "_row": pl.UInt64,
    }  # fmt: skip
