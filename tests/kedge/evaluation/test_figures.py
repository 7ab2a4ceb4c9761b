"""Figures of fixed rows: what a change of the code must not move unnoticed."""

import hashlib
import json

import numpy as np
import polars as pl
import pytest

from kedge.evaluation import evaluate
from kedge.evaluation.figures import Figures
from kedge.evaluation.heldout import HeldOut
from kedge.spec import Declaration

ATTRIBUTES = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "{date}.csv"},
    "columns": {
        "customer": {"type": "string", "role": "subject", "privacy": "token"},
        "plan": {"type": "category", "values": ["basic", "plus"]},
        "left": {"type": "category", "role": "target", "values": ["no", "yes"]},
    },
    "evaluation": {"slices": ["plan"]},
}

# Code version -> digest of the figures. When it changes, raise CODE_VERSION and write the new pair.
GOLDEN = {1: "5569c604fce23186"}


def rows(n: int = 1_200) -> tuple[HeldOut, np.ndarray]:
    """Made by arithmetic, not drawn: the same on every machine."""
    number = np.arange(n)
    p = (number * 37 % 101) / 101
    y = (number * 53 % 97) / 97 < 0.2 + 0.5 * p
    frame = pl.DataFrame(
        {
            "_row": number.astype(np.uint64),
            "_partition": np.where(number < n // 2, "2026-01-01", "2026-01-02"),
            "customer": [f"C{i % 300}" for i in number],
            "plan": np.where(number % 3 == 0, "basic", "plus"),
            "left": np.where(y, "yes", "no"),
        }
    )
    return HeldOut(frame, Declaration.named("bank", ATTRIBUTES)), p


def test_golden_figures() -> None:
    held, p = rows()
    found = Figures.measure(held, {"challenger": p, "baseline": p**2}, enough=True, seed=0).to_json()
    rounded = json.dumps(json.loads(json.dumps(found), parse_float=lambda x: f"{float(x):.3f}"), sort_keys=True)
    assert {evaluate.CODE_VERSION: hashlib.sha256(rounded.encode()).hexdigest()[:16]} == GOLDEN


def test_outcomes_of_a_category_are_its_last_value() -> None:
    held, _ = rows()
    assert held.y.tolist() == (held.frame["left"] == "yes").to_list()
    assert held.people == 300
    assert len(np.unique(held.units)) == 300
    assert {night: count.rows for night, count in held.counts().items()} == {"2026-01-01": 600, "2026-01-02": 600}


def test_without_a_subject_blocks_of_fifty_rows_of_a_night_are_drawn() -> None:
    held, _ = rows()
    columns = {**ATTRIBUTES["columns"], "customer": {"type": "string", "privacy": "token"}}  # type: ignore[dict-item]
    alone = HeldOut(held.frame, Declaration.named("bank", {**ATTRIBUTES, "columns": columns}))
    assert alone.people == 1_200
    assert np.bincount(alone.units).tolist() == [50] * 24


@pytest.mark.parametrize("people", [10, 11])
def test_eleven_people_are_the_fewest_that_anything_is_said_about(people: int) -> None:
    held, p = rows()
    few = held.frame["customer"].is_in([f"C{i}" for i in range(people)])
    found = Figures.measure(
        HeldOut(held.frame.filter(few), held.declaration), {"challenger": p[few.to_numpy()]}, enough=False, seed=0
    )
    assert ("challenger" in found.to_json()) is (people == 11)
    assert np.isnan(found.value("auc")) == (people == 10)
