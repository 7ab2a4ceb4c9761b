"""Quantities as people write them."""

import math
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.spec import days
from kedge.spec.quantity import parse_date, parse_days, parse_share, parse_width


@given(st.integers(1, 99_999))
def test_days_are_read_as_written(num: int) -> None:
    assert parse_days(f"{num}d") == num


@given(st.integers(0, 10_000))
def test_a_percentage_is_the_nearest_float_of_its_hundredth(hundredths: int) -> None:
    text = f"{hundredths // 100}.{hundredths % 100:02d}%"
    assert parse_share(text) == hundredths / 10_000


@given(st.floats(0, 1))
def test_a_fraction_of_one_is_a_share(share: float) -> None:
    assert parse_share(share) == share


@given(st.floats().filter(lambda number: not 0 <= number <= 1))
def test_no_number_outside_zero_to_one_is_a_share(number: float) -> None:
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        parse_share(number)


@given(st.dates())
def test_a_date_is_read_from_its_iso_form_and_stays_a_date(day: date) -> None:
    assert parse_date(day.isoformat()) == parse_date(day) == day


@given(st.integers(1, 9999), st.sampled_from("ymd"))
def test_a_calendar_width_has_a_unit(num: int, unit: str) -> None:
    assert parse_width(f"{num}{unit}") == (num, unit)


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False, allow_nan=False))
def test_a_plain_width_has_none(width: float) -> None:
    assert parse_width(width) == (width, None)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers()))
def test_nothing_else_is_days_and_the_error_is_always_the_same_kind(value: Any) -> None:
    try:
        num = parse_days(value)
    except ValueError as error:
        assert "needs a number of days such as 60d; got " in str(error)  # noqa: PT017  most values are refused
    else:
        assert value == f"{num}d"


@pytest.mark.parametrize("value", ["60", "0d", "-1d", "1.5d", "60 d", "60D", "1w", 60, True, None, ["60d"]])
def test_days_without_their_letter_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="60d"):
        parse_days(value)


@pytest.mark.parametrize("value", [5, -0.1, math.nan, math.inf, True, "5", "101%", "-1%", "5 percent", None, [0.5]])
def test_what_may_or_may_not_be_a_share_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="share"):
        parse_share(value)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, True, "10", "0y", "10w", None])
def test_a_bin_without_width_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="width"):
        parse_width(value)


@pytest.mark.parametrize("value", ["2026-02-30", "2026-1-1", "20260101", "1.1.2026", 20260101, None])
def test_a_date_in_another_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="date"):
        parse_date(value)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, 400))
def test_days_between_include_both_ends(start: date, num: int) -> None:
    found = days(start, (start + timedelta(days=num)).isoformat())
    assert len(found) == num + 1
    assert found == tuple(sorted(found))
    assert (found[0], found[-1]) == (start.isoformat(), (start + timedelta(days=num)).isoformat())


def test_no_day_lies_between_an_end_before_the_start() -> None:
    assert days("2026-01-02", "2026-01-01") == ()
