import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.quality import suite
from kedge.quality import validate as module
from kedge.quality.rules import rules
from kedge.quality.validate import validate

DAY = "2026-01-01"
SECRET = "Quintessa-4711"


@pytest.fixture(scope="module", autouse=True)
def loaded():
    with suite._quiet():
        pass


@pytest.fixture
def columns(columns):
    return {name: columns[name] for name in ("id", "phone", "balance", "plan", "left")}


def check(outcome, name):
    (found,) = [check for check in outcome.checks if check.name == name]
    return found


def failed(outcome):
    return {check.name for check in outcome.checks if not check.passed}


def everything_people_read(result, caplog):
    """Facts, checks, notes, reasons and manifests of both datasets, and the log."""
    held = caplog.text
    for outcome in (result.validated, result.quarantine):
        if outcome:
            held += str(outcome.version.manifest) + str(outcome.reason)
    return held


def test_a_clean_night(ws, declare, deliver, arrive):
    declaration = declare()
    arrive(deliver(20), declaration)
    result = validate(ws, declaration, DAY)
    assert result.validated.released
    assert [check.name for check in result.validated.checks] == [rule.name for rule in rules(declaration)]
    assert failed(result.validated) == set()
    assert dict(result.validated.facts) == {"rows_in": 20, "quarantined": 0, "quarantined_share": 0.0}
    raw = ws.dataset("shop", "raw").current(DAY)
    assert result.validated.notes == {"raw": raw.id}
    assert result.validated.version.manifest.inputs == {"raw": raw.id}
    frame = result.validated.version.scan().collect()
    assert frame["left"].dtype == pl.Boolean
    assert frame.columns == [*declaration.columns, "_row"]
    assert frame["_row"].to_list() == list(range(20))
    assert result.quarantine.rows == 0


def test_rows_that_fail_go_to_quarantine_as_text_with_reasons(ws, declare, deliver, arrive, caplog):
    declaration = declare()
    cells = {("plan", 3): SECRET, ("balance", 3): "-4711.5", ("left", 7): None}
    arrive(deliver(40, cells), declaration)
    result = validate(ws, declaration, DAY)
    assert result.validated.released
    assert failed(result.validated) == {"plan_values", "balance_min", "left_not_null"}
    one = check(result.validated, "plan_values")
    assert (one.blocking, dict(one.facts)) == (False, {"failing": 1, "rows": 40})
    assert result.validated.version.scan().select("_row").collect()["_row"].to_list() == [
        row for row in range(40) if row not in (3, 7)
    ]
    aside = result.quarantine.version.scan().collect()
    assert aside.select("_row", "_reasons", "plan", "balance").rows() == [
        (3, ["balance_min", "plan_values"], SECRET, "-4711.5"),
        (7, ["left_not_null"], "basic", "12.50"),
    ]
    assert result.validated.facts["quarantined"] == 2
    assert "4711" not in everything_people_read(result, caplog)


def test_too_many_failing_rows_block_the_night(ws, declare, deliver, arrive):
    declaration = declare()  # 10 %
    arrive(deliver(20, {("plan", row): "gold" for row in range(2)}), declaration)
    assert validate(ws, declaration, DAY).validated.released
    arrive(deliver(20, {("plan", row): "gold" for row in range(3)}), declaration)
    result = validate(ws, declaration, DAY)
    assert not result.validated.released
    assert "quarantine_share" in result.validated.reason
    assert dict(check(result.validated, "quarantine_share").facts) == {"share": 0.15, "at_most": 0.1, "quarantined": 3}
    assert result.quarantine.rows == 3
    # yesterday's delivery of that day stays in production until somebody repairs this one
    assert ws.dataset("shop", "validated").current(DAY).manifest.rows == 18


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda f: f.with_columns(promo=pl.lit(SECRET)), {"unknown": "promo", "missing": ""}),
        (lambda f: f.drop("plan"), {"unknown": "", "missing": "plan"}),
        (lambda f: f.rename({"plan": "tariff"}), {"unknown": "tariff", "missing": "plan"}),
        (lambda f: f.with_columns(**{f"x{n:02}": pl.lit("") for n in range(12)}),
         {"unknown": "x00, x01, x02, x03, x04, x05, x06, x07, x08, x09 and 2 more", "missing": ""}),
    ],
)  # fmt: skip
def test_columns_that_are_unknown_or_missing_block_the_night(ws, declare, deliver, arrive, caplog, change, facts):
    declaration = declare()
    arrive(change(deliver(5)), declaration)
    result = validate(ws, declaration, DAY)
    assert result.quarantine is None
    assert not result.validated.released
    assert "columns_declared" in result.validated.reason
    assert dict(check(result.validated, "columns_declared").facts) == facts
    assert ws.dataset("shop", "validated").current(DAY) is None
    assert SECRET not in everything_people_read(result, caplog)


def test_columns_in_another_order_are_the_same_contract(ws, declare, deliver, arrive):
    declaration = declare()
    arrive(deliver(5).select(["_row", *reversed(declaration.columns)]), declaration)
    assert validate(ws, declaration, DAY).validated.released


def test_a_delivery_without_rows_is_blocked(ws, declare, deliver, arrive):
    arrive(deliver(0), declare())
    result = validate(ws, declare(), DAY)
    assert failed(result.validated) == {"rows_present"}
    assert not result.validated.released


def test_too_many_missing_cells_block_and_fewer_do_not(ws, declare, deliver, arrive):
    declaration = declare()  # balance: 5 %
    for missing, released in ((1, True), (2, False)):
        arrive(deliver(20, {("balance", row): None for row in range(missing)}), declaration)
        result = validate(ws, declaration, DAY)
        assert result.validated.released == released
        facts = {"failing": missing, "rows": 20, "share": missing / 20, "at_most": 0.05}
        assert dict(check(result.validated, "balance_nulls_at_most").facts) == facts
        assert result.quarantine.rows == 0


def test_undeclared_personal_data_blocks(ws, declare, deliver, arrive, columns, caplog):
    declaration = declare({name: columns[name] for name in ("id", "left")} | {"shelf": {"type": "string"}})
    frame = deliver(50).select("id", "left", "_row", shelf=pl.lit("x.y@example.org"))
    arrive(frame, declaration)
    result = validate(ws, declaration, DAY)
    assert failed(result.validated) == {"personal_data"}
    assert dict(check(result.validated, "personal_data").facts) == {"shelf_email_share": 1.0}
    assert not result.validated.released
    assert "example.org" not in everything_people_read(result, caplog)


def test_a_rule_deleted_from_the_declaration_takes_its_check_along(ws, declare, deliver, arrive, columns):
    arrive(deliver(20, {("plan", 3): "gold"}), declare())
    before = validate(ws, declare(), DAY).validated
    del columns["plan"]["values"]
    after = validate(ws, declare(columns), DAY).validated
    assert {c.name for c in before.checks} - {c.name for c in after.checks} == {"plan_values"}
    assert (before.rows, after.rows) == (19, 20)
    assert after.written


@pytest.mark.parametrize(
    "falsify",
    [
        lambda rows: pl.Series([4], dtype=pl.UInt64),  # as many rows, but another one
        lambda rows: rows.clear(),
        lambda rows: pl.concat([rows, pl.Series([5], dtype=pl.UInt64)]),
        lambda rows: None,
    ],
)
def test_a_false_result_of_great_expectations_blocks_the_night(ws, declare, deliver, arrive, monkeypatch, falsify):
    declaration = declare()
    arrive(deliver(20, {("plan", 3): "gold"}), declaration)
    results = suite.results

    def falsified(*args):
        for rule, rows in results(*args):
            yield rule, falsify(rows) if rule == "plan_values" else rows

    monkeypatch.setattr(suite, "results", falsified)
    result = validate(ws, declaration, DAY)
    assert not result.validated.released
    assert "gx_agrees" in result.validated.reason
    assert dict(check(result.validated, "gx_agrees").facts) == {"disputed": "plan_values", "rules": 15, "rows": 20}
    assert ws.dataset("shop", "validated").current(DAY) is None

    monkeypatch.setattr(suite, "results", results)
    assert validate(ws, declaration, DAY).validated.released


def test_a_false_result_of_polars_blocks_as_well(ws, declare, deliver, arrive, monkeypatch):
    declaration = declare()
    arrive(deliver(20, {("plan", 3): "gold"}), declaration)
    evaluate = module.evaluate.evaluate

    def falsified(frame, declaration):
        flags = evaluate(frame, declaration)
        return module.evaluate.Flags(flags.frame.with_columns(plan_values=pl.lit(False)), flags.rules)

    monkeypatch.setattr(module.evaluate, "evaluate", falsified)
    assert failed(validate(ws, declaration, DAY).validated) == {"gx_agrees"}


def test_a_large_night_is_judged_on_the_failing_rows_and_a_sample(ws, declare, deliver, arrive, monkeypatch):
    monkeypatch.setattr(suite, "MAX_ROWS", 50)
    declaration = declare()
    arrive(deliver(300, {("plan", 3): "gold", ("id", 7): "C8", ("balance", 9): None}), declaration)
    result = validate(ws, declaration, DAY)
    assert result.validated.released
    assert dict(check(result.validated, "gx_agrees").facts) == {"disputed": "", "rules": 15, "rows": 50}
    # more failing rows than fit: twins may be torn apart, so uniqueness is left out
    arrive(deliver(300, {("phone", row): "ask" for row in range(70)} | {("id", 7): "C8"}), declaration)
    result = validate(ws, declaration, DAY)
    assert dict(check(result.validated, "gx_agrees").facts) == {"disputed": "", "rules": 14, "rows": 50}


def test_a_rerun_evaluates_nothing(ws, declare, deliver, arrive, monkeypatch):
    declaration = declare()
    arrive(deliver(20, {("plan", 3): "gold"}), declaration)
    first = validate(ws, declaration, DAY)
    monkeypatch.setattr(module.evaluate, "evaluate", None)
    monkeypatch.setattr(suite, "results", None)
    again = validate(ws, declaration, DAY)
    assert (again.validated.written, again.quarantine.written) == (False, False)
    assert again.validated.version == first.validated.version
    assert again.validated.checks == first.validated.checks


def test_a_corrected_delivery_empties_the_quarantine(ws, declare, deliver, arrive):
    declaration = declare()
    arrive(deliver(20, {("plan", 3): "gold"}), declaration)
    assert validate(ws, declaration, DAY).quarantine.rows == 1
    arrive(deliver(20), declaration)
    assert validate(ws, declaration, DAY).quarantine.rows == 0
    assert ws.dataset("shop", "quarantine").current(DAY).manifest.rows == 0


def test_without_raw_there_is_nothing_to_validate(ws, declare):
    with pytest.raises(Terminal, match=r"shop/raw/2026-01-01: needs a current version"):
        validate(ws, declare(), DAY)
