import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.quality.evaluate import Flags, disagreements, evaluate, restricted, subset
from kedge.quality.rules import Rule

BROKEN = {
    # (column, row): (cell, rules broken)
    ("id", 1): (None, ["id_not_null"]),
    ("id", 3): ("C2", ["id_unique"]),
    ("email", 4): ("nobody", ["email_format"]),
    ("phone", 5): (None, []),
    ("phone", 6): ("ask", ["phone_format"]),
    ("born", 7): ("1919-12-31", ["born_min"]),
    ("born", 8): ("2011-01-01", ["born_max"]),
    ("born", 9): ("1981-02-29", ["born_type"]),
    ("seen", 10): ("2026-12-31 23:59:59.999999", []),
    ("seen", 11): ("2027-01-01 00:00", ["seen_max"]),
    ("seen", 12): ("2019-12-31T23:59", ["seen_min"]),
    ("balance", 13): ("-0.01", ["balance_min"]),
    ("balance", 14): ("nan", ["balance_type"]),
    ("balance", 15): ("250000.01", ["balance_max"]),
    ("balance", 16): (None, []),
    ("months", 17): ("721", ["months_max"]),
    ("months", 18): ("-1", ["months_min"]),
    ("months", 19): ("12.5", ["months_type"]),
    ("number", 20): ("+21", ["number_unique"]),
    ("plan", 22): ("gold", ["plan_values"]),
    ("plan", 23): ("Basic", ["plan_values"]),
    ("left", 24): ("perhaps", ["left_type"]),
    ("left", 25): (None, ["left_not_null"]),
}
# whose twins fail too
TWINS = {2: ["id_unique"], 21: ["number_unique"]}


@pytest.fixture
def broken(deliver):
    return deliver(40, {place: cell for place, (cell, _) in BROKEN.items()})


def test_a_clean_delivery_breaks_nothing(declare, deliver):
    flags = evaluate(deliver(50).lazy(), declare())
    assert set(flags.counts().values()) == {0} | {50} - {50}
    assert flags.failing().len() == 0
    assert flags.reasons().rows() == []
    assert flags.reasons().schema == {"_row": pl.UInt64, "_reasons": pl.List(pl.String)}


def test_every_row_is_charged_with_the_rules_it_breaks_and_no_others(declare, broken):
    flags = evaluate(broken.lazy(), declare())
    expected = TWINS | {row: rules for (_, row), (_, rules) in BROKEN.items() if rules}
    assert dict(flags.reasons().rows()) == expected
    assert flags.failing().sort().to_list() == sorted(expected)
    assert flags.num_rows == 40


def test_missing_cells_are_counted_not_charged(declare, broken):
    counts = evaluate(broken.lazy(), declare()).counts()
    assert counts["phone_nulls_at_most"] == counts["balance_nulls_at_most"] == 1
    assert counts["id_not_null"] == 1


def test_a_row_may_break_several_rules(declare, deliver):
    flags = evaluate(deliver(3, {("plan", 1): None, ("months", 1): "-5", ("email", 1): "x"}).lazy(), declare())
    assert flags.reasons().rows() == [(1, ["email_format", "months_min", "plan_not_null"])]


def test_positions_are_those_of_the_raw_rows_whatever_their_order(declare, broken):
    shuffled = broken.sample(fraction=1, shuffle=True, seed=1)
    assert evaluate(shuffled.lazy(), declare()).positions("id_unique").to_list() == [2, 3]


def test_equal_texts_in_two_forms_are_equal(declare, deliver, columns):
    declaration = declare(columns | {"plan": {"type": "category", "values": ["café"]}})
    frame = deliver(2, {("plan", 0): "cafe\u0301", ("plan", 1): "café", ("id", 0): "n\u0303", ("id", 1): "ñ"})
    flags = evaluate(frame.lazy(), declaration)
    assert flags.counts()["plan_values"] == 0
    assert flags.counts()["id_unique"] == 2


def flagged(num_rows, failing):
    rules = tuple(Rule(name=name, scope="row", column="x", kind=name, description="") for name in ("min", "unique"))
    rows = pl.int_range(num_rows, dtype=pl.UInt64, eager=True).alias("_row")
    marked = rows.is_in(list(failing))
    return Flags(pl.DataFrame({"_row": rows, "min": marked, "unique": marked & False}), rules)


@settings(deadline=None)
@given(st.integers(0, 60), st.sets(st.integers(0, 59)), st.integers(1, 60))
def test_the_second_opinion_sees_all_failing_rows_that_fit_and_no_row_twice(num_rows, failing, at_most):
    failing = {row for row in failing if row < num_rows}
    rows, whole = subset(flagged(num_rows, failing), at_most, 5, seed=0)
    seen = num_rows if num_rows <= at_most else min(at_most, len(failing) + min(5, num_rows - len(failing)))
    assert rows.len() == rows.n_unique() == seen
    assert whole == (failing <= set(rows.to_list()))
    assert rows.is_sorted()


def test_the_sample_is_seeded():
    one, other = (subset(flagged(1000, {5, 7}), 100, 50, seed=seed)[0] for seed in (0, 0))
    assert one.equals(other)
    assert not one.equals(subset(flagged(1000, {5, 7}), 100, 50, seed=1)[0])


def test_missing_cells_that_are_allowed_do_not_crowd_out_the_rows_that_fail(declare, deliver):
    cells = {("seen", row): None for row in range(90)} | {("phone", row): None for row in range(60)}
    flags = evaluate(deliver(100, cells | {("plan", 95): "gold", ("id", 97): "C96"}).lazy(), declare())
    rows, whole = subset(flags, 40, 10, seed=0)
    assert whole
    assert {95, 96, 97} <= set(rows.to_list())
    assert rows.len() == 13


def test_engines_disagree_when_positions_differ_or_one_is_silent():
    flags = flagged(10, {3, 4})
    same = {"min": pl.Series([4, 3], dtype=pl.UInt64), "unique": pl.Series([], dtype=pl.UInt64)}
    assert disagreements(flags, same, flags.rules) == ()
    # the same number of rows, but others
    assert disagreements(flags, same | {"min": pl.Series([4, 5], dtype=pl.UInt64)}, flags.rules) == ("min",)
    assert disagreements(flags, same | {"unique": None}, flags.rules) == ("unique",)
    assert disagreements(flags, {}, flags.rules) == ("min", "unique")
    part = restricted(flags, pl.Series([0, 3], dtype=pl.UInt64))
    assert disagreements(part, same | {"min": pl.Series([3], dtype=pl.UInt64)}, flags.rules) == ()
