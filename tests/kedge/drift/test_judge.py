from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.drift import column as columns
from kedge.drift.judge import PREDICTION, Night
from kedge.drift.sample import Sample
from kedge.spec import Declaration

AREAS = [f"area{i}" for i in range(10)]


@pytest.fixture(scope="module")
def declaration() -> Declaration:
    return Declaration.named(
        "bank",
        {
            "partitions": {"start": "2026-01-01"},
            "source": {"files": "{date}.csv"},
            "columns": {
                "customer": {"type": "string", "role": "subject", "privacy": "token"},
                "born": {"type": "date"},
                "balance": {"type": "float"},
                "logins": {"type": "integer"},
                "plan": {"type": "category"},
                "area": {"type": "category"},
                "left": {"type": "bool", "role": "target"},
            },
            "drift": {"share": 0.4},
        },
    )


def world(seed: int, rows: int, flex: float = 0.05, leavers: float = 0.15, **changes: Any) -> pl.DataFrame:
    """Rows of a night or of a reference as `draw` hands them out; one person per row."""
    r = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "customer": [f"t{i}" for i in range(rows)],
            "born": np.array([f"{y}-01-01" for y in 1940 + 10 * r.integers(0, 7, rows)], dtype="datetime64[D]"),
            "balance": r.lognormal(8, 1, rows),
            "logins": r.poisson(8, rows),
            "plan": r.choice(["basic", "plus", "flex"], rows, p=[0.7 - flex, 0.3, flex]),
            "area": r.choice(AREAS, rows),
            "left": r.random(rows) < leavers,
            "_heldout": r.random(rows) < 0.2,
        }
    ).with_columns(**changes)
    return frame.with_columns(columns.people(frame, "customer"))


def score(rows: pl.DataFrame) -> np.ndarray:
    return 1 / (1 + np.exp(-(rows["logins"].to_numpy() - 8) / 3 + 2 * (rows["plan"].to_numpy() == "flex")))


def night(declaration: Declaration, reference: pl.DataFrame, current: pl.DataFrame, seed: int = 0) -> Night:
    sample = Sample(current)
    return Night(declaration, Sample(reference), sample, sample.heldout, score, seed)


@pytest.mark.parametrize(("rows", "nights"), [(3_000, 6), (200, 15), (48, 8)])
def test_quiet_nights_raise_no_alarm(declaration: Declaration, rows: int, nights: int) -> None:
    """A test-sized part of benchmarks/false_alarms.py, which counts them on 300 nights each."""
    reference = world(1, 10_000)
    verdicts = [night(declaration, reference, world(100 + n, rows), n).day for n in range(nights)]
    assert [verdict.drifted for verdict in verdicts] == [False] * nights


def test_a_plan_that_was_rare_is_seen(declaration: Declaration) -> None:
    judged = night(declaration, world(1, 10_000), world(2, 3_000, flex=0.35))
    drifted = {name for name, verdict in judged.verdicts.items() if verdict.drifted}
    assert drifted == {"plan", PREDICTION}
    assert judged.day.drifted
    assert judged.day.reason == "drifted: the prediction"
    assert judged.day.share == pytest.approx(1 / 5)


def test_outcomes_that_change_are_seen(declaration: Declaration) -> None:
    judged = night(declaration, world(1, 10_000), world(2, 3_000, leavers=0.4))
    assert judged.verdicts["left"].drifted
    assert judged.day.reason == "drifted: the target"


def test_inputs_that_shift_are_seen(declaration: Declaration) -> None:
    current = world(2, 3_000, balance=pl.col("balance") * 2, logins=pl.col("logins") + 3)
    judged = night(declaration, world(1, 10_000), current)
    assert {name for name, verdict in judged.features.items() if verdict.drifted} == {"balance", "logins"}
    assert judged.day.reason.startswith("drifted: 2 of 5 features")


def test_values_that_go_missing_are_seen(declaration: Declaration) -> None:
    gone = pl.when(pl.int_range(pl.len()) % 3 == 0).then(None).otherwise(pl.col("balance"))
    judged = night(declaration, world(1, 10_000), world(2, 3_000, balance=gone))
    balance = judged.verdicts["balance"]
    assert not balance.values.drifted
    assert balance.missing is not None
    assert balance.missing.drifted
    assert balance.drifted


def test_a_column_that_is_empty_tonight_drifts_by_its_gaps(declaration: Declaration) -> None:
    empty = pl.lit(None, dtype=pl.Float64)
    judged = night(declaration, world(1, 10_000), world(2, 3_000, balance=empty))
    assert judged.verdicts["balance"].values.value is None
    assert judged.verdicts["balance"].drifted
    html = judged.html()
    assert html is not None
    assert b"balance (missing)" in html


def test_a_target_that_has_not_arrived_is_left_out(declaration: Declaration) -> None:
    late = pl.lit(None, dtype=pl.Boolean)
    judged = night(declaration, world(1, 10_000), world(2, 500, left=late))
    assert not judged.verdicts["left"].judged
    assert judged.day.drifted is False


def test_ten_people_have_no_verdict(declaration: Declaration) -> None:
    judged = night(declaration, world(1, 10_000), world(2, 10))
    assert judged.day.drifted is None
    assert "too few people" in judged.day.reason
    assert judged.html() is None


def test_predictions_are_compared_on_rows_no_model_trained_on(declaration: Declaration) -> None:
    """A champion that is sure of what it has learned by heart: held-out rows on both sides show no drift."""
    reference, current = world(1, 10_000), world(2, 3_000)
    learned = reference.filter(~pl.col("_heldout"))["balance"].implode()

    def sure(rows: pl.DataFrame) -> np.ndarray:
        return np.where(rows["balance"].is_in(learned).to_numpy(), 0.99, score(rows))

    sample = Sample(current)
    judged = Night(declaration, Sample(reference), sample, sample.heldout, sure, 0)
    assert not judged.verdicts[PREDICTION].drifted
    assert judged.columns[PREDICTION][0].reference.values.max() < 0.99


def test_the_same_seed_gives_the_same_figures(declaration: Declaration) -> None:
    first, second = (night(declaration, world(1, 2_000), world(2, 300), seed=4).verdicts for _ in range(2))
    assert first == second
