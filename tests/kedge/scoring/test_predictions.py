"""Everybody is scored, through the champion's own plan, and each zone gets its own."""

import hashlib
import shutil
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.lake import ALL, Version, raw_ancestor
from kedge.registry.store import Registry
from kedge.scoring import everybody, load_model, predict, scorer
from kedge.scoring.night import score_night
from kedge.scoring.predictions import CODE_VERSION


def champion(bank: Any) -> Version:
    found = Registry.open(bank.ws, "bank").champion()
    assert found is not None
    return bank.ws.dataset("bank", "model").version(ALL, found.model)


def read(bank: Any, name: str, partition: str) -> pl.DataFrame:
    version = bank.ws.dataset("bank", name).current(partition)
    assert version is not None
    return version.scan().collect()


def test_before_the_first_champion_nobody_is_scored(small_bank: Any) -> None:
    assert predict(small_bank.ws, small_bank.declaration, small_bank.night(0)) is None


def test_everybody_validated_is_scored_and_each_zone_gets_its_own(bank: Any) -> None:
    night = bank.night(2)
    outcome = predict(bank.ws, bank.declaration, night)
    assert outcome is not None
    released, restricted = read(bank, "predictions", night), read(bank, "predictions_restricted", night)
    validated, anonymized = read(bank, "validated", night), read(bank, "anonymized", night)
    assert released.columns == ["_row", "score"]
    assert restricted.columns == ["customer", "_row", "score", "released"]
    assert released["_row"].to_list() == anonymized["_row"].to_list()
    assert restricted.select("customer", "_row").equals(validated.select("customer", "_row"))
    assert restricted.filter("released").select("_row", "score").equals(released)
    assert 0 < (~restricted["released"]).sum() <= 3
    assert restricted["score"].is_between(0, 1).all()
    assert [o.notes["model"] for o in outcome] == [champion(bank).id] * 2
    assert [o.rows for o in outcome] == [len(anonymized), len(validated)]


def test_released_rows_are_scored_as_released_and_dropped_ones_without_quasi_identifiers(bank: Any) -> None:
    night = bank.night(2)
    predict(bank.ws, bank.declaration, night)
    model = load_model(bank.ws, bank.declaration, champion(bank))
    anonymized = read(bank, "anonymized", night)
    assert np.array_equal(read(bank, "predictions", night)["score"].to_numpy(), model.score(anonymized))
    dropped = read(bank, "predictions_restricted", night).filter(~pl.col("released"))
    rows = read(bank, "validated", night).join(dropped, on="_row", how="semi", maintain_order="left")
    blind = rows.with_columns(pl.lit(None, dtype=pl.Date).alias("born"))
    assert np.array_equal(dropped["score"].to_numpy(), model.score(blind))


def test_how_the_night_is_cut_into_batches_does_not_matter(bank: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    night = bank.night(2)
    predict(bank.ws, bank.declaration, night)
    before = read(bank, "predictions_restricted", night)
    monkeypatch.setattr(everybody, "BATCH_ROWS", 7)
    _forgotten(bank, night)
    after = read(bank, "predictions_restricted", night)
    assert after.drop("score").equals(before.drop("score"))
    assert after["score"].to_numpy() == pytest.approx(before["score"].to_numpy(), abs=1e-12)


@pytest.mark.parametrize("sizes", [[], [3], [10, 10], [1] * 25, [25], [4, 0, 9, 7], [10], [0]])
def test_even_batches_hold_the_same_rows(sizes: list[int]) -> None:
    rows = pl.DataFrame({"x": range(sum(sizes))})
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    found = list(everybody.even((rows.slice(a, n) for a, n in zip(starts, sizes, strict=True)), 10))
    assert pl.concat([rows.clear(), *found]).equals(rows)
    assert all(len(batch) == 10 for batch in found[:-1])


def test_a_lost_night_comes_back_bit_for_bit(bank: Any) -> None:
    night = bank.night(2)
    outcome = predict(bank.ws, bank.declaration, night)
    assert outcome is not None
    again = _forgotten(bank, night)
    assert [o.version.id for o in again] == [o.version.id for o in outcome]
    assert [o.version.manifest.content_digest for o in again] == [o.version.manifest.content_digest for o in outcome]


def _forgotten(bank: Any, night: str) -> Any:
    """Score again as if it had never been done."""
    for name in ("predictions", "predictions_restricted"):
        shutil.rmtree(bank.ws.dataset("bank", name).path / night)
    found = predict(bank.ws, bank.declaration, night)
    assert found is not None
    assert all(o.written for o in found)
    return found


def test_a_rerun_writes_nothing(bank: Any) -> None:
    night = bank.night(2)
    first, second = predict(bank.ws, bank.declaration, night), predict(bank.ws, bank.declaration, night)
    assert first is not None
    assert second is not None
    assert [o.written for o in (*first, *second)] == [True, True, False, False]
    assert [o.version.id for o in first] == [o.version.id for o in second]


def test_a_model_is_scored_through_its_own_plan_whatever_the_declaration_says_now(bank: Any) -> None:
    night = bank.night(2)
    predict(bank.ws, bank.declaration, night)
    before = read(bank, "predictions_restricted", night)
    bank.declare({"born": {"type": "date", "privacy": {"bins": "20y"}, "quasi": True}})
    assert bank.night(2) == night
    found = predict(bank.ws, bank.declaration, night)
    assert found is not None
    assert all(o.written for o in found)
    after = read(bank, "predictions_restricted", night)
    assert after.equals(before)
    rows = placed(bank, night)
    score = scorer(bank.ws, bank.declaration)(champion(bank), rows)
    expected = rows.select("_row").join(before, on="_row", how="left", maintain_order="left")
    both = expected["released"].to_numpy()
    assert np.array_equal(score[both], expected["score"].to_numpy()[both])


def placed(bank: Any, night: str) -> pl.DataFrame:
    """The night's released rows with what says where they are from."""
    version = bank.ws.dataset("bank", "anonymized").current(night)
    place = {"_partition": night, "_raw": raw_ancestor(version)}
    return version.scan().collect().with_columns(pl.lit(text).alias(name) for name, text in place.items())


def test_rows_of_a_night_that_was_delivered_again_are_scored_as_they_came(bank: Any) -> None:
    """Positions of two deliveries mean different people; by position alone a champion would be given strangers."""
    night = bank.night(2)
    rows = placed(bank, night)
    expected = scorer(bank.ws, bank.declaration)(champion(bank), rows)
    bank.declare({"born": {"type": "date", "privacy": {"bins": "20y"}, "quasi": True}})
    others = (
        read(bank, "validated", night).reverse().with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias("_row"))
    )
    assert bank.night(2, frame=others, delivery=1) == night
    assert placed(bank, night)["_raw"][0] != rows["_raw"][0]
    assert np.array_equal(scorer(bank.ws, bank.declaration)(champion(bank), rows), expected)


def test_rows_without_their_place_cannot_be_looked_up_for_another_plan(bank: Any) -> None:
    rows = read(bank, "anonymized", bank.night(2))
    bank.declare({"born": {"type": "date", "privacy": {"bins": "20y"}, "quasi": True}})
    with pytest.raises(Terminal, match="another anonymization plan"):
        scorer(bank.ws, bank.declaration)(champion(bank), rows)


def test_a_night_that_was_not_released_is_an_error_that_says_what_to_run(bank: Any) -> None:
    with pytest.raises(Terminal, match="validated and anonymized first"):
        predict(bank.ws, bank.declaration, "2026-01-09")


@pytest.mark.parametrize(("people", "known"), [(5, False), (10, False), (11, True)])
def test_a_mean_stands_for_eleven_people_not_rows(
    bank: Any, monkeypatch: pytest.MonkeyPatch, people: int, known: bool
) -> None:
    monkeypatch.setattr("kedge.scoring.night.load_model", lambda *args: Balance())
    rows = pl.DataFrame(
        {
            "_row": pl.Series(range(60), dtype=pl.UInt64),
            "customer": [f"C{i % people}" for i in range(60)],
            "born": [date(1960, 1, 1)] * 60,
            "balance": [i * 0.25 for i in range(60)],
            "plan": ["plus"] * 60,
            "left": [i % 3 == 0 for i in range(60)],
        }
    )
    outcomes = predict(bank.ws, bank.declaration, bank.night(2, frame=rows))
    assert outcomes is not None
    assert [o.facts["rows"] for o in outcomes] == [60, 60]
    assert ["score_mean" in o.facts for o in outcomes] == [known, known]


class Balance:
    """A model that any machine computes alike."""

    features = ("balance", "born")

    def score(self, frame: pl.DataFrame) -> np.ndarray:
        born = frame["born"].dt.year().fill_null(0).to_numpy()
        return (np.round(frame["balance"].to_numpy() * 1000) + born) % 97 / 97


# Code version -> digest of a fixed night's predictions. When it changes, raise CODE_VERSION and write the new pair.
GOLDEN = {1: "8d0d2a496885723a"}


def test_golden_predictions(bank: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kedge.scoring.night.load_model", lambda *args: Balance())
    rows = pl.DataFrame(
        {
            "_row": pl.Series(range(60), dtype=pl.UInt64),
            "customer": [f"C{i}" for i in range(60)],
            "born": [date(1901 if i < 2 else 1960 + i % 3 * 10, 1, 1) for i in range(60)],
            "balance": [i * 0.25 for i in range(60)],
            "plan": ["plus"] * 60,
            "left": [i % 3 == 0 for i in range(60)],
        }
    )
    night = bank.night(2, frame=rows)
    predict(bank.ws, bank.declaration, night)
    text = "".join(read(bank, name, night).write_csv() for name in ("predictions", "predictions_restricted"))
    assert {CODE_VERSION: hashlib.sha256(text.encode()).hexdigest()[:16]} == GOLDEN


def test_any_stored_model_can_score_a_night_without_writing_anything(bank: Any) -> None:
    night, first = bank.night(2), champion(bank)
    predict(bank.ws, bank.declaration, night)
    stored = bank.ws.dataset("bank", "predictions").attempts(night)
    scored = score_night(bank.ws, bank.declaration, night, first.id)
    assert scored.equals(read(bank, "predictions_restricted", night).select("_row", "score", "released"))
    assert bank.ws.dataset("bank", "predictions").attempts(night) == stored
    with pytest.raises(Terminal, match="no such version"):
        score_night(bank.ws, bank.declaration, night, "v" + "0" * 32)
