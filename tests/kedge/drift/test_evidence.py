from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.drift import evidently
from kedge.drift.column import Column, Side
from kedge.drift.evidence import evidence
from kedge.outcome import FEWEST_PEOPLE


def people_by_value(side: Side) -> dict[float, int]:
    return {value: len(np.unique(side.people[side.values == value])) for value in np.unique(side.values).tolist()}


def assert_shown_for_many(shown: Column) -> None:
    for side in shown.sides:
        assert min(people_by_value(side).values()) >= FEWEST_PEOPLE


def test_numbers_keep_their_shape(column: Callable[..., Column], random: np.random.Generator) -> None:
    made = column(random.lognormal(size=10_000), random.lognormal(size=3_000) + 0.4)
    shown = evidence(made, seed=1)
    assert shown is not None
    assert_shown_for_many(shown)
    assert evidently.distance(shown) == pytest.approx(evidently.distance(made), rel=0.15)
    assert shown.reference.values.size == 10_000
    assert shown.current.values.mean() == pytest.approx(made.current.values.mean(), rel=0.05)


def test_an_extreme_does_not_show_through_the_mean_of_its_bin(column: Callable[..., Column]) -> None:
    values = np.arange(500.0)
    shown = evidence(column([*values, 1e9], [*values, 7e8]), seed=1)
    assert shown is not None
    assert max(side.values.max() for side in shown.sides) < 500


def test_close_large_numbers_stay_apart(column: Callable[..., Column], random: np.random.Generator) -> None:
    shown = evidence(column(1e9 + random.normal(size=900), 1e9 + random.normal(size=500)), seed=1)
    assert shown is not None
    assert len(np.unique(shown.current.values)) > 20


def test_few_distinct_values_are_shown_as_they_are(column: Callable[..., Column]) -> None:
    shown = evidence(column([1.0] * 50 + [2.0] * 50, [1.0] * 20 + [2.0] * 11), seed=1)
    assert shown is not None
    assert people_by_value(shown.current) == {1.0: 20, 2.0: 11}


def test_a_bin_holds_many_people_not_many_rows(column: Callable[..., Column]) -> None:
    """Value 9 has 50 rows of one person: it is not shown by itself."""
    shown = evidence(column([1.0] * 100, [1.0] * 50 + [9.0] * 50, (np.arange(100), [*range(50), *[50] * 50])), seed=1)
    assert shown is not None
    assert_shown_for_many(shown)
    assert 9.0 not in shown.current.values


def test_values_of_one_side_only(column: Callable[..., Column]) -> None:
    shown = evidence(column([1.0] * 40, [5.0] * 30), seed=1)
    assert shown is not None
    assert (people_by_value(shown.reference), people_by_value(shown.current)) == ({1.0: 40}, {5.0: 30})


def test_rare_categories_are_merged(column: Callable[..., Column]) -> None:
    shown = evidence(
        column(
            ["a"] * 60 + ["b"] * 40 + ["SECRET"] * 10 + ["rare"] * 6,
            ["a"] * 30 + ["b"] * 3 + ["rare"] * 9 + ["new"] * 15,
        ),
        seed=1,
    )
    assert shown is not None
    assert_shown_for_many(shown)
    assert "SECRET" not in shown.labels
    assert "b" not in shown.labels  # only 3 people today
    assert "(other)" in shown.labels
    assert "new" in shown.labels


def test_a_rest_that_is_too_small_takes_the_smallest_shown_one_along(column: Callable[..., Column]) -> None:
    shown = evidence(column(["a"] * 60 + ["b"] * 40 + ["x"] * 4, ["a"] * 30 + ["b"] * 20), seed=1)
    assert shown is not None
    assert set(shown.labels) == {"a", "(other)"}
    assert_shown_for_many(shown)


@pytest.mark.parametrize("sides", [(["a"] * 10, ["a"] * 100), ([1.0] * 100, [1.0] * 10)])
def test_too_few_people_show_nothing(sides: tuple[list, list], column: Callable[..., Column]) -> None:
    assert evidence(column(*sides), seed=1) is None


def test_rows_are_shuffled_differently_per_seed(column: Callable[..., Column], random: np.random.Generator) -> None:
    made = column(random.normal(size=500), random.normal(size=300))
    first, second = evidence(made, seed=1), evidence(made, seed=2)
    assert first is not None
    assert second is not None
    assert sorted(first.current.values) == sorted(second.current.values)
    assert first.current.values.tolist() != second.current.values.tolist()


SIDE = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 25)), min_size=11, max_size=150)


@settings(max_examples=150, deadline=None)
@given(SIDE, SIDE, st.booleans())
def test_no_value_ever_stands_for_few(reference: list, current: list, numeric: bool) -> None:
    def side(rows: list[tuple[int, int]]) -> Side:
        values, people = np.array(rows).T
        return Side(values.astype(float) if numeric else values, people)

    labels = () if numeric else tuple(f"c{i}" for i in range(13))
    made = Column("x", "numeric" if numeric else "category", side(reference), side(current), labels)
    shown = evidence(made, seed=3)
    assert (shown is None) == (made.num_people < FEWEST_PEOPLE)
    if shown is not None:
        assert_shown_for_many(shown)
        assert [s.values.size for s in shown.sides] == [s.values.size for s in made.sides]
