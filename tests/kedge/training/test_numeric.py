import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.outcome import FEWEST_PEOPLE
from kedge.training.numeric import SPAN, Pieces


def everyone(values: list[float]) -> np.ndarray:
    return np.arange(len(values))


def test_edges_are_means_of_groups_of_equal_mass() -> None:
    values = np.arange(44.0)
    pieces = Pieces.fit(values, everyone(values), bins=3)
    assert pieces.edges == (5.0, 16.0, 27.0, 38.0)
    assert pieces.num_pieces == 3


def test_positions_are_linear_between_edges_and_clipped_beyond() -> None:
    pieces = Pieces((0.0, 1.0, 10.0), fill=1.0)
    found = pieces.positions(np.array([-5.0, 0.0, 0.5, 1.0, 5.5, 10.0, 1e30, np.nan]))
    assert found.tolist() == pytest.approx([-SPAN, -SPAN, -SPAN / 2, 0, SPAN / 2, SPAN, SPAN, 0])
    assert found.dtype == np.float32


def test_a_value_that_most_rows_share_leaves_edges_to_the_others() -> None:
    values = np.concatenate([np.zeros(9000), np.linspace(1, 100, 1000)])
    pieces = Pieces.fit(values, everyone(values), bins=20)
    assert pieces.edges[0] == 0
    assert len([edge for edge in pieces.edges if edge > 0]) > 12


def test_few_distinct_values_are_edges_themselves() -> None:
    values = np.repeat([1.0, 2.0, 3.0], 20)
    assert Pieces.fit(values, everyone(values), bins=32).edges == (1.0, 2.0, 3.0)


def test_an_extreme_of_few_people_is_not_an_edge() -> None:
    values = np.concatenate([np.linspace(0, 1, 200), [1e6] * 3])
    pieces = Pieces.fit(values, everyone(values), bins=32)
    assert max(pieces.edges) < 1e6
    rich = Pieces.fit(values, np.minimum(np.arange(len(values)), 200), bins=32)
    assert max(rich.edges) < 1e6


def test_every_person_counts_once_in_an_edge() -> None:
    """One person with 1,000 rows in a group of 11 does not make the edge show her value."""
    values = np.concatenate([np.full(1000, 1.0), np.full(10, 0.0)])
    people = np.concatenate([np.zeros(1000, np.int64), np.arange(1, 11)])
    assert Pieces.fit(values, people, bins=1).edges == (pytest.approx(1 / 11),)


@pytest.mark.parametrize("known", [0, 1, FEWEST_PEOPLE - 1])
def test_fewer_than_eleven_people_give_no_edge(known: int) -> None:
    values = np.concatenate([np.arange(float(known)), [np.nan] * 30])
    pieces = Pieces.fit(values, everyone(values), bins=8)
    assert pieces.edges == ()
    assert pieces.num_pieces == 1
    assert pieces.positions(np.array([3.0, np.nan])).tolist() == [0, 0]


def test_a_constant_is_one_edge() -> None:
    pieces = Pieces.fit(np.full(50, 7.1), np.arange(50), bins=8)
    assert pieces.edges == (pytest.approx(7.1),)
    assert pieces.positions(np.array([7.1, 8.0])).tolist() == [0, 0]


def test_a_datetime_keeps_its_seconds() -> None:
    start = 1.7e15  # microseconds since 1970
    values = start + np.arange(100) * 1e6
    pieces = Pieces.fit(values, everyone(values), bins=4)
    assert np.unique(pieces.positions(values)).size > 80


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-3, 3)), min_size=1, max_size=120), st.integers(1, 12))
def test_every_edge_stands_for_eleven_people(rows: list[tuple[int, int]], bins: int) -> None:
    people, values = np.array([who for who, _ in rows]), np.array([float(value) for _, value in rows])
    edges = np.array(Pieces.fit(values, people, bins).edges)
    assert np.all(np.diff(edges) > 0)
    assert (edges.size == 0) == (len(set(people)) < FEWEST_PEOPLE)
    # Every edge is the mean over the people of an interval of values that eleven of them have a value in.
    for edge in edges:
        assert any(_is_mean(edge, values, people, low, high) for low, high in _intervals(values))


def _intervals(values: np.ndarray) -> list[tuple[float, float]]:
    distinct = np.unique(values)
    return [(low, high) for low in distinct for high in distinct if low <= high]


def _is_mean(edge: float, values: np.ndarray, people: np.ndarray, low: float, high: float) -> bool:
    inside = (values >= low) & (values <= high)
    owners = set(people[inside])
    own = [values[inside & (people == who)].mean() for who in owners]
    return len(owners) >= FEWEST_PEOPLE and bool(np.isclose(np.mean(own), edge))


def test_json_round_trip() -> None:
    pieces = Pieces.fit(np.random.default_rng(0).normal(size=500), np.arange(500), bins=8)
    assert Pieces.from_json(pieces.to_json()) == pieces
