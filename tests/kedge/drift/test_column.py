from datetime import date

import numpy as np
import polars as pl
import pytest

from kedge.drift import column as columns


def frame(values: list, people: list[int] | None = None) -> pl.DataFrame:
    made = pl.DataFrame({"x": values})
    return made.with_columns(pl.Series("_person", people) if people else columns.people(made, None))


def test_numbers_leave_out_rows_without_a_finite_value() -> None:
    made = columns.numeric("x", frame([1.0, None, float("inf"), float("nan")]), frame([2.0, 3.0]))
    assert made.reference.values.tolist() == [1.0]
    assert made.reference.people.tolist() == [0]
    assert made.current.values.tolist() == [2.0, 3.0]


def test_dates_are_years() -> None:
    made = columns.numeric("x", frame([date(1970, 1, 1), date(2000, 1, 1)]), frame([date(1985, 7, 1)]))
    assert made.reference.values == pytest.approx([1970.0, 2000.0], abs=0.01)
    assert made.current.values == pytest.approx([1985.5], abs=0.01)


def test_categories_share_codes_and_a_missing_one_is_a_category() -> None:
    made = columns.category("x", frame(["a", "b", "a", None]), frame(["c", "a"]))
    read = [[made.labels[code] for code in side.values.tolist()] for side in made.sides]
    assert read == [["a", "b", "a", "(missing)"], ["c", "a"]]
    assert columns.category("x", frame(["a", None]), frame(["a"]), missing=False).reference.values.size == 1


def test_booleans_are_categories() -> None:
    assert set(columns.category("x", frame([True, False]), frame([True])).labels) == {"true", "false"}


def test_the_rarest_of_many_categories_count_together() -> None:
    many = [f"c{i}" for i in range(3_000) for _ in range(1 + (i < 10))]
    made = columns.category("x", frame(many), frame(["c0", "never"]))
    assert len(made.labels) == columns.MOST_CATEGORIES
    assert [made.labels[code] for code in made.current.values.tolist()] == ["c0", "(other)"]


def test_missingness_is_only_there_when_something_is_missing() -> None:
    assert columns.missingness("x", frame([1, 2]), frame([3])) is None
    made = columns.missingness("x", frame([1, None]), frame([3]))
    assert made is not None
    assert made.name == "x (missing)"
    assert set(made.labels) == {"(present)", "(missing)"}


def test_people_are_counted_once_and_rows_of_nobody_are_one_person() -> None:
    named = pl.DataFrame({"who": ["t1", "t2", "t1", None, None]})
    assert columns.people(named, "who").n_unique() == 3
    assert columns.people(named, None).n_unique() == 5


def test_effective_rows() -> None:
    """Kish by hand: 4 people with one row, one with six: (4 + 6)^2 / (4 + 36) = 2.5."""
    side = columns.Side(np.zeros(10), np.array([0, 1, 2, 3, *[4] * 6]))
    assert (side.num_people, side.effective_rows) == (5, pytest.approx(2.5))
