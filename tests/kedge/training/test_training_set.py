from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.lake import Outcome
from kedge.people import rule_id
from kedge.privacy.plan import Plan
from kedge.spec.canonical import digest
from kedge.training.training_set import CODE_VERSION, assemble

GOLDEN = "fb981a011cca3e7fdc2acd018d8119556cb2a7afe32b7ac914403ea07d9d9101"


@pytest.fixture
def one(bank: Callable[..., Any], customers: Callable[..., pl.DataFrame]) -> Any:
    """Nights 0, 1, 3, 4 and 6 of a bank with a window of five days."""
    found = bank()
    for day in (0, 1, 3, 4, 6):
        found.night(day, customers(200, seed=day))
    return found


def made(bank: Any, **how: Any) -> Outcome:
    return assemble(bank.ws, bank.declaration, **({"cause": "no champion", "trigger": "person"} | how))


def test_names_nights_people_and_cause(one: Any) -> None:
    outcome = made(one)
    notes, dataset = outcome.notes, one.ws.dataset("bank", "anonymized")
    nights = ["2026-01-03", "2026-01-04", "2026-01-05", "2026-01-06", "2026-01-07"]
    assert sorted(notes["nights"]) == [nights[1], nights[2], nights[4]]
    assert notes["nights"] == {night: dataset.current(night).id for night in notes["nights"]}
    assert notes["skipped"] == dict.fromkeys([nights[0], nights[3]], "no anonymized version")
    assert (notes["first"], notes["last"]) == (nights[1], nights[4])
    assert (notes["cause"], notes["trigger"], notes["episode"]) == ("no champion", "person", [])
    assert notes["holdout"] == {"share": 0.2, "by": "subject", "rule": rule_id(one.declaration)}
    plan = Plan.of(one.declaration)
    assert (notes["plan_id"], notes["plan"]) == (plan.id, plan.to_json())
    assert notes["subjects"]["count"] == outcome.facts["people"] > 200
    assert outcome.facts["rows"] == 600 == outcome.facts["rows_train"] + outcome.facts["rows_heldout"]
    assert outcome.rows == 0


def test_until_ends_the_window_and_the_start_of_the_calendar_begins_it(one: Any) -> None:
    notes = made(one, until="2026-01-03").notes
    assert sorted(notes["nights"]) == ["2026-01-01", "2026-01-02"]
    assert notes["skipped"] == {}


def test_an_episode_names_the_nights_that_have_rows(one: Any) -> None:
    notes = made(
        one, cause="m:2026-01-05:1", trigger="sensor", episode=["2026-01-07", "2026-01-05", "2026-01-06"]
    ).notes
    assert notes["episode"] == ["2026-01-05", "2026-01-07"]


def test_a_rerun_writes_nothing_and_another_cause_is_another_set(one: Any) -> None:
    first = made(one)
    again = made(one, trigger="sensor")
    assert (again.version.id, again.written) == (first.version.id, False)
    assert made(one, cause="other").version.id != first.version.id


def test_nights_under_another_plan_are_skipped(one: Any, customers: Callable[..., pl.DataFrame]) -> None:
    stricter = replace(Plan.of(one.declaration), k=50)
    one.night(4, customers(200, seed=4), plan=stricter)
    notes = made(one).notes
    assert sorted(notes["nights"]) == ["2026-01-04", "2026-01-07"]
    assert notes["skipped"]["2026-01-05"] == "anonymized under another plan than the last night"


def test_without_a_subject_nobody_is_named(bank: Callable[..., Any], customers: Callable[..., pl.DataFrame]) -> None:
    columns = {"balance": {"type": "float"}, "left": {"type": "bool", "role": "target"}}
    found = bank(columns=columns)
    found.night(0, customers(5000).select("_row", "balance", "left"))
    outcome = made(found)
    assert outcome.notes["subjects"]["count"] == 0
    assert outcome.notes["holdout"]["by"] == "blocks"
    assert 0 < outcome.facts["rows_heldout"] < 5000


def test_nothing_anonymized_is_an_error(bank: Callable[..., Any], one: Any) -> None:
    with pytest.raises(Terminal, match="at least one anonymized night up to 2025-12-31; got none"):
        made(one, until="2025-12-31")


def test_what_a_set_holds_changes_only_on_purpose(one: Any) -> None:
    """Golden: whoever changes it raises CODE_VERSION, and then this digest."""
    outcome = made(one, cause="m:2026-01-05:1", trigger="sensor", episode=["2026-01-05"])
    chance = {name: list(outcome.notes[name]) for name in ("nights", "subjects", "plan")} | {"plan_id": None}
    facts = {name: outcome.facts[name] for name in outcome.facts if name not in ("rows_train", "rows_heldout")}
    assert digest({"notes": {**outcome.notes, **chance}, "facts": facts, "code": CODE_VERSION}) == GOLDEN
