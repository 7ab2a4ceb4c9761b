"""Large nights are judged on 10,000 rows a side: is the verdict that of all rows?"""

from typing import Any

import polars as pl
import pytest

from kedge.drift import sample
from kedge.drift.judge import Night
from kedge.drift.sample import draw
from kedge.drift.verdict import ColumnVerdict

ROWS = 60_000
SEEDS = range(4)
# what changes -> which columns drift, and which only move a little
WORLDS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set()),
    "a few more on the plan flex": ({"flex": 0.08}, set()),
    "many more on the plan flex": ({"flex": 0.2}, {"plan", "(prediction)"}),
}


@pytest.fixture
def judged(stored: Any, declaration: Any, score: Any, monkeypatch: Any) -> Any:
    def judge(world: dict[str, Any], seed: int, *, most: int) -> dict[str, ColumnVerdict]:
        monkeypatch.setattr(sample, "MOST_ROWS", most)
        monkeypatch.setattr(sample, "_DRAWN_ROWS", 4 * most)
        nights = [
            stored.night("2026-01-01", ROWS, seed=1, customers=ROWS),
            stored.night("2026-01-02", ROWS, seed=2, customers=ROWS, **world),
        ]
        reference, current = (draw([night], declaration, seed=seed + side) for side, night in enumerate(nights))
        night = Night(declaration, reference, current, current.heldout, lambda rows: score(nights[0], rows), seed)
        return night.verdicts

    return judge


@pytest.mark.parametrize("world", WORLDS)
def test_effects_away_from_the_threshold_have_one_verdict(judged: Any, world: str) -> None:
    changes, drifted = WORLDS[world]
    full = judged(changes, 0, most=ROWS)
    assert {name for name, verdict in full.items() if verdict.drifted} == drifted
    for seed in SEEDS:
        bounded = judged(changes, 10 * seed, most=10_000)
        assert {name for name, verdict in bounded.items() if verdict.drifted} == drifted
        for name, verdict in bounded.items():
            assert verdict.values.value is not None
            assert verdict.values.noise is not None
            # the noise bound of the sample covers what sampling adds to the distance or takes from it
            assert abs(verdict.values.value - full[name].values.value) < verdict.values.noise


def test_no_more_rows_than_the_bound_are_compared(stored: Any, declaration: Any) -> None:
    drawn = draw([stored.night("2026-01-01", ROWS, seed=1, customers=ROWS)], declaration, seed=0)
    assert (drawn.frame.height, drawn.rows.height) == (40_000, 10_000)
    assert 7_500 < drawn.heldout.height < 8_500
    assert isinstance(drawn.frame, pl.DataFrame)
