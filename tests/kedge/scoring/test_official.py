"""The official test file: through contract and border into datasets of its own, and its figures."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from kedge.errors import Terminal
from kedge.evaluation.evaluate import evaluate
from kedge.lake import ALL, Version, raw_ancestor
from kedge.scoring.official import official

FILE = "official/test.csv"


def oracle(frame: pl.DataFrame) -> np.ndarray:
    slope = np.where(frame["plan"] == "flex", -2.5, 1.5)
    return 1 / (1 + np.exp(1 - slope * frame["balance"].to_numpy()))


def written(bank: Any, rows: pl.DataFrame) -> Path:
    """The test file, in the dialect of the source."""
    path = bank.ws.settings.data / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.drop("_row").write_csv(path)
    return path


@pytest.fixture
def tested(bank: Any) -> Any:
    """The bank with a test file of 800 people."""
    bank.declare(evaluation={"slices": ["plan"], "test": FILE})
    bank.rows = _people(99, 800)
    written(bank, bank.rows)
    return bank


def _people(seed: int, rows: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    balance = random.normal(0, 1, rows).round(3)
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": [f"T{number}" for number in range(rows)],
            "born": [f"{1950 + int(year)}-05-17" for year in random.integers(0, 40, rows)],
            "balance": balance,
            "plan": random.choice(["basic", "plus", "flex"], rows),
            "left": random.random(rows) < 1 / (1 + np.exp(1 - 1.5 * balance)),
        }
    )


def test_without_the_setting_there_is_none(bank: Any) -> None:
    assert official(bank.ws, bank.declaration) is None


def test_it_is_stored_apart_from_the_nights(tested: Any) -> None:
    nights = {name: tested.ws.dataset("bank", name).partitions() for name in ("raw", "validated", "anonymized")}
    found = official(tested.ws, tested.declaration)
    assert found is not None
    assert {name: tested.ws.dataset("bank", name).partitions() for name in nights} == nights
    stored = {name: tested.ws.dataset("bank", f"test_{name}") for name in (*nights, "quarantine")}
    assert all(dataset.partitions() == [ALL] for dataset in stored.values())
    assert [stored[name].zone for name in ("raw", "validated", "anonymized")] == ["restricted", "restricted", "open"]
    assert found.version == stored["anonymized"].current(ALL)
    rows = found.version.scan().collect()
    assert len(rows) == 800
    assert not set(rows["customer"]) & set(tested.rows["customer"]), "tokens"
    again = official(tested.ws, tested.declaration)
    assert again is not None
    assert again.version.id == found.version.id


def test_its_figures_stand_beside_the_others_and_decide_nothing(tested: Any) -> None:
    night = tested.ws.dataset("bank", "anonymized").partitions()
    model = tested.model("first", night, oracle)
    test = official(tested.ws, tested.declaration)
    assert test is not None
    rows = test.version.scan().collect()
    tested.models[model.id] = lambda frame: 1 - oracle(frame) if len(frame) == 800 else oracle(frame)
    test = type(test)(test.version, tested.score)
    how = {"challenger": model, "champion": None, "score": tested.score}
    outcome = evaluate(tested.ws, tested.declaration, **how, official=test)
    figures = outcome.notes["sets"]["test"]
    assert (figures["rows"], figures["people"], figures["nights"]) == (800, 800, [])
    assert figures["challenger"]["auc"]["value"] == pytest.approx(roc_auc_score(rows["left"], 1 - oracle(rows)))
    assert figures["challenger"]["auc"]["value"] < 0.5, "no gate looks"
    assert "baseline" in figures
    assert figures["slices"]["shown"]
    assert not any(check.name.endswith("_test") for check in outcome.checks)
    without = evaluate(tested.ws, tested.declaration, **how)
    assert outcome.version.id != without.version.id
    assert outcome.notes["verdict"] == without.notes["verdict"]
    assert outcome.facts["test_auc_challenger"] == figures["challenger"]["auc"]["value"]


def placed(version: Version) -> pl.DataFrame:
    raw = {"_partition": ALL, "_raw": raw_ancestor(version)}
    return version.scan().collect().with_columns(pl.lit(text).alias(name) for name, text in raw.items())


def test_a_model_sees_it_through_its_own_plan(tested: Any) -> None:
    model = tested.ws.dataset("bank", "model").current(ALL)
    before = official(tested.ws, tested.declaration)
    assert before is not None
    frame = placed(before.version)
    scores = before.score(model, frame)
    born = {"born": {"type": "date", "privacy": {"bins": "20y"}, "quasi": True}}
    tested.declare(born, evaluation={"slices": ["plan"], "test": FILE})
    after = official(tested.ws, tested.declaration)
    assert after is not None
    assert after.version.id != before.version.id
    coarse = placed(after.version)
    assert np.array_equal(after.score(model, coarse), scores)


def test_the_file_may_go_once_it_is_stored(tested: Any) -> None:
    found = official(tested.ws, tested.declaration)
    (tested.ws.settings.data / FILE).unlink()
    again = official(tested.ws, tested.declaration)
    assert found is not None
    assert again is not None
    assert again.version.id == found.version.id


def test_a_file_that_is_missing_or_breaks_the_contract_is_told(tested: Any) -> None:
    broken = tested.rows.with_columns(plan=pl.lit("gold"))
    path = written(tested, broken)
    with pytest.raises(Terminal, match=r"evaluation\.test: needs rows that the contract lets through") as failure:
        official(tested.ws, tested.declaration)
    assert "gold" not in str(failure.value)
    path.unlink()
    tested.declare(evaluation={"slices": ["plan"], "test": "official/other.csv"})
    with pytest.raises(Terminal, match="got no such file"):
        official(tested.ws, tested.declaration)
