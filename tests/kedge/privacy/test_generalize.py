from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.privacy.generalize import generalize
from kedge.privacy.plan import PlannedColumn


def bins(values: pl.Series, kind: str, width: float, unit: str | None = None) -> pl.Series:
    column = PlannedColumn(name="x", type=kind, treatment="bins", width=width, unit=unit)
    return values.to_frame("x").select(generalize(column).alias("x")).to_series()


@pytest.mark.parametrize(
    ("value", "width", "unit", "start"),
    [
        (date(1984, 5, 3), 10, "y", date(1980, 1, 1)),
        (date(1989, 12, 31), 10, "y", date(1980, 1, 1)),
        (date(1990, 1, 1), 10, "y", date(1990, 1, 1)),
        (date(1899, 2, 28), 5, "y", date(1895, 1, 1)),
        (date(2024, 2, 29), 1, "y", date(2024, 1, 1)),
        (date(2024, 2, 29), 3, "m", date(2024, 1, 1)),
        (date(2024, 12, 31), 6, "m", date(2024, 7, 1)),
        (date(1970, 1, 8), 7, "d", date(1970, 1, 8)),
        (date(1969, 12, 31), 7, "d", date(1969, 12, 25)),
        (date(7, 5, 3), 10, "y", date(1, 1, 1)),
        (None, 10, "y", None),
    ],
)
def test_dates_are_named_by_the_start_of_their_bin(value: date | None, width: int, unit: str, start: date | None):
    made = bins(pl.Series([value], dtype=pl.Date), "date", width, unit)
    assert made.dtype == pl.Date
    assert made.to_list() == [start]


def test_datetimes_keep_their_type():
    made = bins(pl.Series([datetime(1984, 5, 3, 23, 59), None], dtype=pl.Datetime("us")), "datetime", 1, "m")
    assert made.dtype == pl.Datetime("us")
    assert made.to_list() == [datetime(1984, 5, 1), None]
    by_day = bins(pl.Series([datetime(1970, 1, 9, 1)], dtype=pl.Datetime("us")), "datetime", 7, "d")
    assert by_day.to_list() == [datetime(1970, 1, 8)]


def test_whole_numbers_keep_their_type_below_zero_too():
    made = bins(pl.Series([-7, -5, 0, 4, 5, None], dtype=pl.Int64), "integer", 5)
    assert made.dtype == pl.Int64
    assert made.to_list() == [-10, -5, 0, 0, 5, None]


def test_floats_on_an_edge_stay_in_their_bin():
    made = bins(pl.Series([0.3, 0.29, -0.05, 0.0, None]), "float", 0.1)
    assert [None if x is None else round(x, 9) for x in made] == [0.3, 0.2, -0.1, 0.0, None]
    assert str(bins(pl.Series([-0.0]), "float", 5)[0]) == "0.0"


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**4))
@settings(max_examples=100, deadline=None)
def test_a_bin_holds_its_values(value: int, width: int):
    start = bins(pl.Series([value]), "integer", width)[0]
    assert start <= value < start + width
    assert bins(pl.Series([start]), "integer", width)[0] == start


@given(st.dates(), st.integers(1, 40), st.sampled_from("ymd"))
@settings(max_examples=100, deadline=None)
def test_the_start_of_a_bin_is_in_it(value: date, width: int, unit: str):
    start = bins(pl.Series([value]), "date", width, unit)[0]
    assert start <= value
    assert bins(pl.Series([start]), "date", width, unit)[0] == start


def test_prefix_counts_letters_as_people_see_them():
    column = PlannedColumn(name="x", type="string", treatment="prefix", length=2)
    values = pl.DataFrame({"x": ["10115", " 80331", "A\u030arhus", "7", None]})
    assert values.select(generalize(column).alias("x"))["x"].to_list() == ["10", "80", "År", "7", None]
