"""Challenger against champion on the same held-out rows of a small bank."""

import json
import shutil
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from kedge.errors import Terminal
from kedge.evaluation.evaluate import evaluate
from kedge.lake import Outcome, Version
from kedge.people import load_rows


def oracle(frame: pl.DataFrame) -> np.ndarray:
    """What the bank really does."""
    slope = np.where(frame["plan"] == "flex", -2.5, 1.5)
    return 1 / (1 + np.exp(1 - slope * frame["balance"].to_numpy()))


def before_the_drift(frame: pl.DataFrame) -> np.ndarray:
    """Knows nothing of the plan flex."""
    return 1 / (1 + np.exp(1 - 1.5 * frame["balance"].to_numpy()))


def coin(frame: pl.DataFrame) -> np.ndarray:
    return np.random.default_rng(0).random(len(frame))


def broken(frame: pl.DataFrame) -> np.ndarray:
    return np.full(len(frame), np.nan)


def only_recent(frame: pl.DataFrame) -> np.ndarray:
    """Turned the other way round for everybody."""
    return 1 / (1 + np.exp(1 + 2.5 * frame["balance"].to_numpy()))


def judged(bank: Any, challenger: Version, champion: Version | None = None) -> Outcome:
    return evaluate(bank.ws, bank.declaration, challenger=challenger, champion=champion, score=bank.score)


@pytest.fixture
def bank(small_bank: Any) -> Any:
    """Six quiet nights."""
    small_bank.quiet = small_bank.nights(0, 5)
    return small_bank


@pytest.fixture
def drifted(bank: Any) -> Any:
    """Then two on which most customers have the plan flex."""
    bank.episode = bank.nights(6, 7, rows=3_000, flex=0.8)
    return bank


def test_the_first_champion(bank: Any) -> None:
    model = bank.model("first", bank.quiet, oracle)
    outcome = judged(bank, model)
    notes = outcome.notes
    assert outcome.released
    assert (notes["action"], notes["challenger"], notes["champion"]) == ("promote", model.id, None)
    assert notes["reason"].startswith("first champion: every gate holds, not worse than the logistic baseline")
    assert {check.name for check in outcome.checks} == {
        *(f"gate_{metric}_{rows}" for metric in bank.declaration.gates for rows in ("recent", "trusted")),
        "not_worse_recent",
        "not_worse_trusted",
        "enough_rows_recent",
        "enough_rows_trusted",
    }
    assert not any(check.blocking for check in outcome.checks)
    assert (notes["cause"], notes["trigger"]) == ("no champion", "manual")
    assert (notes["nights"], notes["last"]) == (bank.quiet, bank.quiet[-1])


def test_figures_are_those_of_the_held_out_rows_and_no_others(bank: Any) -> None:
    seen: list[pl.DataFrame] = []

    def watched(frame: pl.DataFrame) -> np.ndarray:
        seen.append(frame)
        return oracle(frame)

    model = bank.model("first", bank.quiet, watched)
    notes = judged(bank, model).notes
    training_set = bank.ws.dataset("bank", "training_set").current("all").manifest.notes
    held = load_rows(bank.ws, bank.declaration, training_set["nights"], ["heldout"])
    assert len(seen) == 1
    assert seen[0].select("_partition", "_row").equals(held.select("_partition", "_row"))
    trusted = notes["sets"]["trusted"]
    assert trusted["rows"] == len(held)
    assert trusted["people"] == held["customer"].n_unique()
    assert trusted["challenger"]["auc"]["value"] == pytest.approx(roc_auc_score(held["left"], oracle(held)))
    low, value, high = (trusted["challenger"]["auc"][name] for name in ("low", "value", "high"))
    assert low < value < high
    assert set(trusted["challenger"]) == set(trusted["baseline"])
    assert trusted["worst_slice_auc"]["value"] == min(s["auc"]["value"] for s in trusted["slices"]["shown"])


def test_a_drifted_episode_is_judged_on_its_own_nights(drifted: Any) -> None:
    old = drifted.model("first", drifted.quiet, before_the_drift)
    new = drifted.model(
        "second", drifted.quiet + drifted.episode, oracle, episode=drifted.episode, cause="v1:2026-01-07:1"
    )
    notes = judged(drifted, new, old).notes
    recent, trusted = notes["sets"]["recent"], notes["sets"]["trusted"]
    assert recent["nights"] == drifted.episode
    assert trusted["nights"] == drifted.quiet
    assert notes["action"] == "promote"
    assert "better on recent" in notes["reason"]
    assert recent["gain"]["champion"]["low"] > 0
    assert recent["challenger"]["auc"]["value"] > recent["champion"]["auc"]["value"] + 0.1
    assert (notes["cause"], notes["trigger"]) == ("v1:2026-01-07:1", "sensor")
    assert notes["time_ordered"]["champion"]["auc"]["value"] < trusted["champion"]["auc"]["value"]


@pytest.mark.parametrize(
    ("challenger", "action", "why"),
    [
        (coin, "refuse", "gate not met"),
        (broken, "refuse", "unknown"),
        (before_the_drift, "refuse", "gate not met"),
        (only_recent, "refuse", "gate not met: auc on trusted"),
    ],
)
def test_challengers_that_are_refused(drifted: Any, challenger: Any, action: str, why: str) -> None:
    old = drifted.model("first", drifted.quiet, before_the_drift)
    new = drifted.model("second", drifted.quiet + drifted.episode, challenger, episode=drifted.episode)
    notes = judged(drifted, new, old).notes
    assert notes["action"] == action
    assert why in notes["reason"]


def test_better_on_recent_and_worse_on_trusted_needs_approval(drifted: Any) -> None:
    drifted.declare(gates={})
    old = drifted.model("first", drifted.quiet, before_the_drift)
    new = drifted.model("second", drifted.quiet + drifted.episode, only_recent, episode=drifted.episode)
    assert judged(drifted, new, old).notes["action"] == "needs_approval"


def test_after_a_change_of_the_plan_only_nights_under_the_new_one_count(bank: Any) -> None:
    old = bank.model("first", bank.quiet, oracle)
    bank.declare({"born": {"type": "date", "privacy": {"bins": "20y"}, "quasi": True}})
    assert bank.nights(5, 6) == [bank.quiet[5], "2026-01-07"]  # the last quiet night was run again
    notes = judged(bank, bank.model("second", [*bank.quiet[5:], "2026-01-07"], oracle), old).notes
    assert notes["sets"]["trusted"]["nights"] == bank.quiet[5:]
    later = bank.nights(8, 9)
    notes = judged(bank, bank.model("third", later, oracle), old).notes
    assert notes["sets"]["trusted"]["nights"] == bank.quiet[5:]


def test_a_rerun_writes_nothing_and_says_the_same(bank: Any) -> None:
    model = bank.model("first", bank.quiet, oracle)
    first, second = judged(bank, model), judged(bank, model)
    assert (first.written, second.written) == (True, False)
    assert first.notes == second.notes


def test_a_champion_keeps_the_evaluation_that_made_it(bank: Any) -> None:
    model = bank.model("first", bank.quiet, oracle)
    first = judged(bank, model)
    again = judged(bank, model, champion=model)
    assert (again.version.id, again.written) == (first.version.id, False)


def test_the_figures_do_not_change_from_run_to_run(bank: Any) -> None:
    model = bank.model("first", bank.quiet, oracle)
    first = judged(bank, model)
    notes = dict(first.notes)
    shutil.rmtree(bank.ws.dataset("bank", "evaluation").path)
    assert judged(bank, model).notes == notes


def test_a_gate_changes_the_version_and_not_the_figures(bank: Any) -> None:
    model = bank.model("first", bank.quiet, oracle)
    first = judged(bank, model)
    bank.declare(gates={"auc": ">= 0.99"})
    second = judged(bank, model)
    assert second.version.id != first.version.id
    assert second.notes["sets"] == first.notes["sets"]
    assert second.notes["action"] == "refuse"
    assert "auc on recent" in second.notes["reason"]


def test_fewer_than_eleven_people_say_nothing_and_promote_nobody(small_bank: Any) -> None:
    small_bank.declare(gates={}, privacy={"k": 2, "mask_at_most": "100%", "drop_at_most": "100%"})
    night = small_bank.night(0, rows=30)
    notes = judged(small_bank, small_bank.model("first", [night], oracle)).notes
    assert notes["sets"]["trusted"]["people"] < 11
    assert "challenger" not in notes["sets"]["trusted"]
    assert notes["sets"]["trusted"]["positives"] == 0
    assert notes["action"] == "refuse"


def test_without_a_subject_blocks_of_rows_are_drawn(small_bank: Any) -> None:
    small_bank.declare({"customer": {"type": "string", "privacy": "token"}})
    nights = small_bank.nights(0, 5)
    notes = judged(small_bank, small_bank.model("first", nights, oracle)).notes
    assert notes["action"] == "promote"
    assert notes["sets"]["trusted"]["people"] == notes["sets"]["trusted"]["rows"]


def test_rows_without_an_outcome_are_left_out(small_bank: Any) -> None:
    night = small_bank.night(0, rows=1_000)
    model = small_bank.model("first", [night], oracle)
    everybody = judged(small_bank, model).notes["sets"]["trusted"]
    unknown = small_bank.ws.dataset("bank", "validated").current(night).scan().collect()
    unknown = unknown.with_columns(pl.when(pl.col("_row") % 2 == 0).then("left").alias("left"))
    later = small_bank.night(1, frame=unknown)
    half = judged(small_bank, small_bank.model("second", [later], oracle)).notes["sets"]["trusted"]
    assert 0 < half["rows"] < everybody["rows"]


def test_the_notes_hold_no_nan_and_no_row(drifted: Any) -> None:
    old = drifted.model("first", drifted.quiet, broken)
    new = drifted.model("second", drifted.quiet + drifted.episode, oracle, episode=drifted.episode)
    text = json.dumps(dict(judged(drifted, new, old).notes), allow_nan=False)
    assert "_row" not in text


def test_a_window_that_is_gone_is_an_error(bank: Any) -> None:
    model = bank.model("first", bank.quiet, oracle)
    shutil.rmtree(bank.ws.dataset("bank", "anonymized").path / bank.quiet[0])
    with pytest.raises(Terminal, match="no such version"):
        judged(bank, model)
