"""Columns taken from an earlier night, and other spellings of a value."""

import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.privacy.anonymize import anonymize
from kedge.quality.validate import validate

FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"


@pytest.fixture
def columns():
    """A shop whose customers come again."""
    return {
        "id": {"type": "string", "role": "subject", "privacy": "token"},
        "balance": {"type": "float", "nulls": "5%", "min": -1e30},
        "seen": {"type": "datetime", "nulls": "100%"},
        "left": {"type": "bool", "role": "target"},
        "balance_before": {"type": "float", "min": 0, "nulls": "100%", "from": _from("balance")},
        "seen_before": {"type": "datetime", "nulls": "100%", "from": _from("seen")},
        "left_before": {"type": "bool", "nulls": "100%", "from": _from("left")},
    }


def _from(column, lag="1d"):
    return {"column": column, "lag": lag, "on": ["id"]}


def _rows(*rows):
    names = ("id", "balance", "seen", "left")
    frame = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], schema=dict.fromkeys(names, pl.String))
    return frame.with_row_index("_row")


def _night(*ids, balance="1.5"):
    return _rows(*((one, balance, "2026-01-01 07:05", "yes") for one in ids))


def test_values_come_from_the_row_of_the_night_before(ws, declare, arrive):
    declaration = declare(quarantine_at_most="50%", privacy={"k": 1})
    numbers = ["0.1", "1e-7", "123456789.123456789", "5e20"]
    ids = ["a", "b", "c", "d"]
    before = _rows(*((one, number, "2026-01-01T07:05:01.25", "No") for one, number in zip(ids, numbers, strict=True)))
    arrive(before, declaration, FIRST)
    first = validate(ws, declaration, FIRST).validated
    arrive(_night("d", "a", "new", "b", "c"), declaration, SECOND)
    found = validate(ws, declaration, SECOND).validated.version.scan().collect()
    assert found["balance_before"].to_list() == [5e20, 0.1, None, 1e-7, 123456789.123456789]
    assert found["left_before"].to_list() == [False, False, None, False, False]
    assert found["seen_before"][0] == first.version.scan().collect()["seen"][0]
    assert found["id"].to_list() == ["d", "a", "new", "b", "c"]
    anonymized = anonymize(ws, declaration, SECOND)
    assert anonymized.released
    assert "balance_before" in anonymized.version.scan().collect_schema().names()


def test_no_match_or_several_give_no_value(ws, declare, arrive):
    declaration = declare()
    arrive(_night("twice", "twice", "once"), declaration, FIRST)
    validate(ws, declaration, FIRST)
    arrive(_night("twice", "once", "never", "once"), declaration, SECOND)
    found = validate(ws, declaration, SECOND).validated.version.scan().collect()
    assert found["balance_before"].to_list() == [None, 1.5, None, 1.5]


def test_a_night_that_is_missing_gives_no_values(ws, declare, arrive, columns):
    declaration = declare()
    arrive(_night("a"), declaration, FIRST)
    alone = validate(ws, declaration, FIRST).validated
    assert alone.version.manifest.inputs["validated_1d_before"] == "none"
    assert alone.version.scan().collect()["balance_before"].to_list() == [None]
    columns["balance_before"]["nulls"] = "50%"
    strict = validate(ws, declare(columns), FIRST).validated
    assert not strict.released
    assert "balance_before_nulls_at_most" in str(strict.version.manifest.reason)


def test_the_earlier_night_is_a_part_of_what_a_version_is_made_of(ws, declare, arrive):
    declaration = declare()
    arrive(_night("a"), declaration, SECOND)
    alone = validate(ws, declaration, SECOND).validated
    arrive(_night("a", balance="7"), declaration, FIRST)
    first = validate(ws, declaration, FIRST).validated
    after = validate(ws, declaration, SECOND).validated
    assert after.version.id != alone.version.id
    assert after.version.manifest.inputs["validated_1d_before"] == first.version.id
    assert after.version.scan().collect()["balance_before"].to_list() == [7.0]
    assert not validate(ws, declaration, SECOND).validated.written


def test_the_column_has_a_contract_of_its_own(ws, declare, arrive):
    declaration = declare(quarantine_at_most="50%")
    arrive(_rows(("a", "-3", None, "yes"), ("b", "3", None, "yes")), declaration, FIRST)
    validate(ws, declaration, FIRST)
    arrive(_night("a", "b"), declaration, SECOND)
    result = validate(ws, declaration, SECOND)
    set_aside = result.quarantine.version.scan().collect()
    assert set_aside["_reasons"].to_list() == [["balance_before_min"]]
    assert "balance_before" not in set_aside.columns, "as received"
    agrees = next(check for check in result.validated.version.manifest.checks if check.name == "gx_agrees")
    assert agrees.passed


def test_several_lags_look_at_several_nights(ws, declare, arrive, columns):
    columns["balance_long_before"] = columns["balance_before"] | {"from": _from("balance", "2d")}
    declaration = declare(columns)
    for date, balance in ((FIRST, "1"), (SECOND, "2"), (THIRD, "3")):
        arrive(_night("a", balance=balance), declaration, date)
        outcome = validate(ws, declaration, date).validated
    row = outcome.version.scan().collect().row(0, named=True)
    assert (row["balance"], row["balance_before"], row["balance_long_before"]) == (3, 2, 1)


def test_a_delivery_that_holds_a_lagged_column_is_blocked(ws, declare, arrive):
    declaration = declare()
    with_it = _night("a").with_columns(balance_before=pl.lit("9"))
    arrive(with_it, declaration, FIRST)
    outcome = validate(ws, declaration, FIRST).validated
    assert not outcome.released
    assert "columns_declared" in str(outcome.version.manifest.reason)


def test_a_file_without_header_holds_the_delivered_columns_only(ws, declare, settings):
    from kedge.source.take import take

    declaration = declare(source={"files": "inbox/{date}.csv", "header": False})
    inbox = settings.data / "inbox"
    inbox.mkdir(parents=True)
    (inbox / f"{FIRST}.csv").write_text("a,1.5,,yes\n")
    take(ws, declaration, FIRST)
    assert validate(ws, declaration, FIRST).validated.released
    (inbox / f"{SECOND}.csv").write_text("a,1.5,,yes,1,,\n")
    with pytest.raises(Terminal, match="4 fields"):
        take(ws, declaration, SECOND)


def test_other_spellings_are_replaced_before_the_contract_looks(ws, declare, arrive, columns):
    columns["plan"] = {
        "type": "category",
        "values": ["basic", "Plus\u00e9"],
        "aliases": {"B.": "basic", "Pe\u0301": "Plus\u00e9"},
    }
    columns["left"]["aliases"] = {"ja": "true", "nein": "no"}
    declaration = declare(columns, quarantine_at_most="50%")
    frame = _night("a", "b", "c", "d").with_columns(
        left=pl.Series(["ja", "nein", "true", "oui"]), plan=pl.Series(["B.", "basic", "P\u00e9", "basic"])
    )
    arrive(frame.select("id", "balance", "seen", "left", "plan", "_row"), declaration, FIRST)
    result = validate(ws, declaration, FIRST)
    found = result.validated.version.scan().collect()
    assert found["plan"].to_list() == ["basic", "basic", "Plus\u00e9"]
    assert found["left"].to_list() == [True, False, True]
    assert result.quarantine.version.scan().collect()["left"].to_list() == ["oui"], "as received"
    checks = {check.name: check.passed for check in result.validated.version.manifest.checks}
    assert checks["gx_agrees"]
    assert not checks["left_type"]
