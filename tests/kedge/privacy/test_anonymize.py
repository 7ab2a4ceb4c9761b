from collections.abc import Callable
from datetime import date

import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.lake import Draft, Version, produce
from kedge.outcome import Findings
from kedge.privacy import Plan, anonymize, release
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

DAY = "2026-01-01"


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings)


def validated(ws: Workspace, frame: pl.DataFrame, raw: str = "v" + "0" * 32) -> Version:
    """A validated night as the stage before would leave it."""

    def write(draft: Draft) -> Findings:
        draft.write_frame(frame)
        return Findings(notes={"raw": raw})

    dataset = ws.dataset("bank", "validated")
    return produce(dataset, DAY, inputs={"raw": raw}, declared={}, code=1, write=write).version


Day = Callable[..., pl.DataFrame]
Declare = Callable[..., Declaration]


def test_a_night_crosses_the_border(ws: Workspace, day: Day, declaration: Declaration):
    frame = day(1000)
    source = validated(ws, frame)
    outcome = anonymize(ws, declaration, DAY)
    assert outcome.released
    assert outcome.facts["k_measured"] >= 10
    assert outcome.facts["rows_in"] == 1000
    assert outcome.notes["raw"] == source.manifest.notes["raw"]
    assert outcome.notes["plan_id"] == Plan.of(declaration).id
    assert Plan.from_json(outcome.notes["plan"]) == Plan.of(declaration)
    rows = outcome.version.scan().collect()
    assert rows.columns == ["_row", *declaration.released]
    assert {check.name for check in outcome.checks} == {"k_anonymity", "mask_budget", "drop_budget", "redaction"}
    assert outcome.facts["redacted_email"] == rows.height
    assert outcome.facts["redacted_customer_id"] == rows.height


def test_nothing_that_identifies_is_left(ws: Workspace, day: Day, declaration: Declaration):
    frame = day(1000)
    validated(ws, frame)
    text = anonymize(ws, declaration, DAY).version.scan().collect().write_csv()
    for column in ("customer_id", "name", "email"):
        assert not [value for value in frame[column] if value in text]
    assert not [value for value in frame["zip"] if f",{value}," in text]


def test_release_by_a_models_plan_gives_the_same_rows(ws: Workspace, day: Day, declaration: Declaration):
    source = validated(ws, day(1000))
    outcome = anonymize(ws, declaration, DAY)
    released, dropped = release(source.scan(), Plan.from_json(outcome.notes["plan"]), ws.secrets("bank"))
    assert released.equals(outcome.version.scan().collect())
    assert dropped.height == outcome.facts["dropped_rows"]


def test_a_rerun_writes_nothing(ws: Workspace, day: Day, declaration: Declaration):
    validated(ws, day(1000))
    first = anonymize(ws, declaration, DAY)
    again = anonymize(ws, declaration, DAY)
    assert (first.written, again.written) == (True, False)
    assert again.version.id == first.version.id
    assert again.facts == first.facts


def test_a_day_of_eight_people_is_blocked(ws: Workspace, day: Day, declaration: Declaration):
    validated(ws, day(8))
    outcome = anonymize(ws, declaration, DAY)
    assert not outcome.released
    assert "people: 8" in (outcome.reason or "")
    assert ws.dataset("bank", "anonymized").current(DAY) is None
    assert outcome.version.scan().collect().is_empty()


def test_a_day_over_its_budget_says_which_column_costs_most(ws: Workspace, day: Day, declare: Declare):
    """Zip codes in full: without them hardly anybody stands out."""
    columns = {
        "customer_id": {"type": "string", "role": "subject", "privacy": "token"},
        "birth_date": {"type": "date", "privacy": {"bins": "10y"}, "quasi": True},
        "zip": {"type": "string", "privacy": {"prefix": 4}, "quasi": True},
        "left": {"type": "bool", "role": "target"},
    }
    validated(ws, day(1000))
    outcome = anonymize(ws, declare(columns=columns), DAY)
    assert not outcome.released
    assert "mask_budget" in (outcome.reason or "")
    assert outcome.facts["k_measured"] >= 10
    failed = {check.name: check.description for check in outcome.checks if not check.passed}
    assert list(failed) == ["mask_budget"]
    assert "Column zip costs most" in failed["mask_budget"]
    assert ws.dataset("bank", "anonymized").current(DAY) is None


def test_the_drop_budget(ws: Workspace, day: Day, declare: Declare):
    frame = day(100).with_columns(birth_date=pl.lit(date(1980, 1, 1)), zip=pl.lit("10115"))
    stranger = pl.col("_row") < 5
    odd = frame.with_columns(
        birth_date=pl.when(stranger).then(pl.lit(date(1901, 1, 1))).otherwise("birth_date"),
        zip=pl.when(stranger).then(pl.lit("99999")).otherwise("zip"),
    )
    validated(ws, odd)
    outcome = anonymize(ws, declare(privacy={"k": 6}), DAY)
    failed = {check.name: check.description for check in outcome.checks if not check.passed}
    assert list(failed) == ["drop_budget"]
    assert "5.0% of the rows are dropped" in failed["drop_budget"]
    relaxed = anonymize(ws, declare(privacy={"k": 6, "drop_at_most": "5%"}), DAY)
    assert relaxed.released
    assert relaxed.facts["dropped_share"] == 0.05


def test_an_empty_day_is_released(ws: Workspace, day: Day, declaration: Declaration):
    validated(ws, day(10).clear())
    outcome = anonymize(ws, declaration, DAY)
    assert outcome.released
    assert outcome.rows == 0


def test_a_day_that_was_not_validated(ws: Workspace, declaration: Declaration):
    with pytest.raises(Terminal, match="Run the day's raw and validated first"):
        anonymize(ws, declaration, DAY)
