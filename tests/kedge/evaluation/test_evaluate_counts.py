"""Counts and numbers judged through the lake: gates, comparison, drift, rows of equal features."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import d2_tweedie_score, r2_score

from kedge.drift.report import report
from kedge.evaluation.evaluate import evaluate
from kedge.people import HELDOUT, PART, load_rows

COLUMNS = {
    "left": {"type": "integer", "role": "target", "min": 0},
    "years": {"type": "float", "role": "exposure", "min": 0.01},
}


def night(seed: int, rows: int = 4_000, shift: float = 0.0) -> pl.DataFrame:
    """Claims in proportion to the years, more with a higher balance; 401 balances at most, so that rows repeat."""
    random = np.random.default_rng(seed)
    balance = random.integers(-200, 201, rows) / 100 + shift
    years = random.uniform(0.1, 1, rows).round(2)
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": [f"C{seed}-{number}" for number in range(rows)],
            "born": [None] * rows,
            "balance": balance,
            "plan": random.choice(["basic", "plus"], rows),
            "left": random.poisson(years * np.exp(0.6 * balance - 1)),
            "years": years,
        },
        schema_overrides={"born": pl.Date, "left": pl.Int64},
    )


def truth(frame: pl.DataFrame) -> np.ndarray:
    return frame["years"].to_numpy() * np.exp(0.6 * frame["balance"].to_numpy() - 1)


def without_years(frame: pl.DataFrame) -> np.ndarray:
    return 0.55 * np.exp(0.6 * frame["balance"].to_numpy() - 1)


@pytest.fixture
def claims(small_bank: Any) -> Any:
    """Three nights of claims, rows of equal features held out together."""
    small_bank.declare(
        COLUMNS,
        gates={"deviance_gain": ">= 0.1", "worst_slice_deviance_gain": ">= 0.05", "poisson_deviance": "<= 3"},
        evaluation={"by": "features", "slices": ["plan"]},
    )
    small_bank.quiet = [small_bank.night(number, frame=night(number)) for number in range(3)]
    return small_bank


def test_the_first_champion_of_counts(claims: Any) -> None:
    model = claims.model("first", claims.quiet, truth)
    outcome = evaluate(claims.ws, claims.declaration, challenger=model, champion=None, score=claims.score)
    assert outcome.notes["action"] == "promote", outcome.notes["reason"]
    assert "not worse than the Poisson baseline: deviance gain trusted" in outcome.notes["reason"]
    held = load_rows(claims.ws, claims.declaration, model_nights(claims, model), {HELDOUT})
    years = held["years"].to_numpy()
    gain = d2_tweedie_score(held["left"] / years, truth(held) / years, sample_weight=years, power=1)
    trusted = outcome.notes["sets"]["trusted"]
    assert trusted["challenger"]["deviance_gain"]["value"] == pytest.approx(gain)
    assert trusted["positives"] == (held["left"] > 0).sum()
    assert trusted["worst_slice_deviance_gain"]["value"] <= gain + 0.05
    assert outcome.facts["trusted_deviance_gain_challenger"] == pytest.approx(gain)
    assert sum(b["observed"] for b in trusted["calibration"]) == held["left"].sum()
    assert "enough_rows_recent" in {check.name for check in outcome.checks if check.passed}
    assert "auc" not in str(outcome.notes)


def model_nights(bank: Any, model: Any) -> dict[str, str]:
    dataset = bank.ws.dataset("bank", "training_set")
    return dict(dataset.version("all", model.manifest.notes["training_set"]).manifest.notes["nights"])


def test_no_row_of_a_window_stands_on_both_sides(claims: Any) -> None:
    rows = load_rows(claims.ws, claims.declaration, model_nights(claims, claims.model("m", claims.quiet)))
    features = list(claims.declaration.features)
    assert rows.select(features).is_duplicated().mean() > 0.9
    assert set(rows.group_by(features).agg(pl.col(PART).n_unique())[PART]) == {1}
    only = load_rows(claims.ws, claims.declaration, model_nights(claims, claims.model("m", claims.quiet)), columns=[])
    assert only[PART].to_list() == rows[PART].to_list()


def test_a_challenger_that_forgets_the_exposure_is_refused(claims: Any) -> None:
    champion = claims.model("first", claims.quiet, truth)
    challenger = claims.model("second", claims.quiet, without_years)
    judged = evaluate(claims.ws, claims.declaration, challenger=challenger, champion=champion, score=claims.score)
    assert judged.notes["action"] == "refuse"
    assert judged.notes["sets"]["recent"]["gain"]["champion"]["high"] < -claims.declaration.champion.margin


def test_drift_of_counts_and_of_what_is_expected(claims: Any) -> None:
    champion = claims.model("first", claims.quiet, truth)
    same = claims.night(3, frame=night(3))
    moved = claims.night(4, frame=night(4, shift=1.5))
    quiet, loud = (
        report(claims.ws, claims.declaration, partition, score=claims.score, champion=champion)
        for partition in (same, moved)
    )
    assert quiet is not None
    assert loud is not None
    assert quiet.notes["drifted"] is False, quiet.notes["reason"]
    assert "the prediction, the target" in loud.notes["reason"]
    for name in ("(prediction)", "left"):
        assert loud.notes["columns"][name]["method"].startswith("Wasserstein")


def test_the_first_champion_of_numbers(small_bank: Any) -> None:
    small_bank.declare(
        {"left": {"type": "float", "role": "target"}},
        gates={"r2": ">= 0.3", "rmse": "<= 2000", "worst_slice_r2": ">= 0.2"},
    )

    def priced(seed: int) -> pl.DataFrame:
        rng = np.random.default_rng(seed)
        frame = night(seed, 1_500).drop("years")
        return frame.with_columns(left=50_000 + 1_000 * pl.col("balance") + pl.Series(rng.normal(0, 800, len(frame))))

    nights = [small_bank.night(number, frame=priced(number)) for number in range(4)]
    model = small_bank.model("first", nights, lambda frame: 50_000 + 1_000 * frame["balance"].to_numpy())
    outcome = evaluate(small_bank.ws, small_bank.declaration, challenger=model, champion=None, score=small_bank.score)
    assert outcome.notes["action"] == "promote", outcome.notes["reason"]
    assert "ridge baseline: r2 trusted" in outcome.notes["reason"]
    held = load_rows(small_bank.ws, small_bank.declaration, model_nights(small_bank, model), {HELDOUT})
    found = outcome.notes["sets"]["trusted"]["challenger"]
    assert found["r2"]["value"] == pytest.approx(r2_score(held["left"], 50_000 + 1_000 * held["balance"]))
    assert found["rmse"]["value"] == pytest.approx(800, rel=0.1)
