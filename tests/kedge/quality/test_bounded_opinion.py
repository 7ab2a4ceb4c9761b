"""Above 100,000 rows Great Expectations sees the rows that fail and a sample of the others: is its verdict the same?

The numbers of rows are the real ones; only the full second opinion has its limit lifted.
"""

import polars as pl
import pytest

from kedge.quality import suite
from kedge.quality.evaluate import Flags, disagreements, evaluate, restricted, subset
from kedge.quality.rules import column_rules

BLOCKS, BLOCK = 400, 300
ROWS = BLOCKS * BLOCK
# one row of each block
BROKEN = {
    ("id", 1): None, ("email", 4): "nobody", ("born", 7): "1919-12-31", ("born", 8): "2011-01-01",
    ("born", 9): "1981-02-29", ("balance", 13): "-0.01", ("balance", 14): "nan", ("balance", 15): "250000.01",
    ("balance", 16): None, ("plan", 22): "gold",
}  # fmt: skip


@pytest.fixture
def columns(columns):
    """As few as hold every kind of rule: Great Expectations takes 40 ms for a rule and 100,000 rows."""
    return {name: columns[name] for name in ("id", "email", "born", "balance", "plan")} | {
        "left": {"type": "bool", "role": "target"}
    }


@pytest.fixture
def night(deliver):
    block = deliver(BLOCK, BROKEN).drop("_row")
    row = pl.int_range(ROWS, dtype=pl.UInt64)
    twin = pl.when(row % 1_000 == 501).then(row - 1).otherwise(row).cast(pl.String)
    known = pl.col("id").is_not_null()
    return pl.concat([block] * BLOCKS).with_columns(row.alias("_row"), id=pl.when(known).then("C" + twin))


def opinion(frame, declaration, flags, at_most):
    """As a night asks for it."""
    rows, whole = subset(flags, at_most, suite.SAMPLED_ROWS, seed=0)
    assert whole
    seen = restricted(flags, rows)
    clean = {name for name, count in seen.counts().items() if not count}
    found = suite.evaluate(frame.filter(pl.col("_row").is_in(rows.implode())), declaration, clean)
    return rows, found, disagreements(seen, found, flags.rules)


def falsified(flags, rule, rows, mark):
    """Polars errs about some rows."""
    wrong = pl.when(pl.col("_row").is_in(rows)).then(pl.lit(mark)).otherwise(rule)
    return Flags(flags.frame.with_columns(wrong.alias(rule)), flags.rules)


def test_failing_rows_of_every_kind_are_judged_as_in_the_full_delivery(declare, night):
    declaration = declare()
    flags = evaluate(night.lazy(), declaration)
    assert {rule.kind for rule in flags.rules if flags.counts()[rule.name]} == {
        "type", "not_null", "nulls_at_most", "min", "max", "values", "unique", "format",
    }  # fmt: skip
    rows, bounded, disputed = opinion(night, declaration, flags, suite.MAX_ROWS)
    assert rows.len() == flags.failing().len() + suite.SAMPLED_ROWS < suite.MAX_ROWS < ROWS
    _, full, fully_disputed = opinion(night, declaration, flags, ROWS)
    assert disputed == fully_disputed == ()
    for rule in column_rules(declaration):
        if rule.scope == "row":  # same rows, so same counts
            assert bounded[rule.name].sort().equals(full[rule.name].sort()), rule.name
            assert full[rule.name].len() == flags.counts()[rule.name]


@pytest.mark.parametrize("at_most", [suite.MAX_ROWS, ROWS])
def test_a_wrong_flag_is_disputed_like_in_the_full_delivery(declare, night, at_most):
    """A good row that polars wrongly sends to quarantine is among the failing ones: always seen."""
    declaration = declare()
    flags = falsified(evaluate(night.lazy(), declaration), "balance_max", [77_777], True)
    assert opinion(night, declaration, flags, at_most)[2] == ("balance_max",)


@pytest.mark.parametrize("at_most", [suite.MAX_ROWS, ROWS])
def test_rows_that_polars_overlooks_are_disputed_from_a_small_share_on(declare, night, at_most):
    """Every 300th row breaks the rule, and polars is blind for it."""
    declaration = declare()
    flags = evaluate(night.lazy(), declaration)
    blind = falsified(flags, "plan_values", flags.positions("plan_values").to_list(), False)
    assert opinion(night, declaration, blind, at_most)[2] == ("plan_values",)


def test_what_a_sample_cannot_see(declare, night):
    """A single row that polars overlooks, outside of the sample: only the full second opinion disputes it."""
    declaration = declare()
    flags = evaluate(night.lazy(), declaration)
    sampled = subset(flags, suite.MAX_ROWS, suite.SAMPLED_ROWS, seed=0)[0]
    row = next(row for row in range(100, ROWS) if row not in set(sampled[:1000]) and row % BLOCK > 70)
    assert row not in sampled
    spoilt = night.with_columns(plan=pl.when(pl.col("_row") == row).then(pl.lit("gold")).otherwise("plan"))
    assert opinion(spoilt, declaration, flags, suite.MAX_ROWS)[2] == ()
    assert opinion(spoilt, declaration, flags, ROWS)[2] == ("plan_values",)
