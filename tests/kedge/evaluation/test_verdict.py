"""Every branch of the verdict."""

from dataclasses import replace

import pytest

from kedge.evaluation.bootstrap import Interval
from kedge.evaluation.verdict import Facts, Judged, better, judge, not_worse

NAN = float("nan")
UP, EVEN, DOWN, UNKNOWN = (
    Interval(0.02, 0.01, 0.03),
    Interval(0.0, -0.004, 0.004),
    Interval(-0.02, -0.03, -0.01),
    Interval(NAN, NAN, NAN),
)


def gate(value: float, op: str = ">=", bound: float = 0.7, rows: str = "recent") -> Judged:
    return Judged(name=f"gate_auc_{rows}", rows=rows, metric="auc", op=op, bound=bound, value=value)  # type: ignore[arg-type]


GOOD = (gate(0.8), gate(0.8, rows="trusted"))


def facts(recent: Interval, trusted: Interval, gates: tuple[Judged, ...] = GOOD) -> Facts:
    return Facts(gates=gates, against="champion", gains={"recent": recent, "trusted": trusted}, margin=0.005)


@pytest.mark.parametrize(
    ("recent", "trusted", "action"),
    [
        (UP, UP, "promote"),
        (UP, EVEN, "promote"),
        (EVEN, UP, "promote"),
        (EVEN, EVEN, "promote"),
        (UP, DOWN, "needs_approval"),
        (EVEN, DOWN, "refuse"),
        (DOWN, UP, "refuse"),
        (DOWN, EVEN, "refuse"),
        (DOWN, DOWN, "refuse"),
        (UP, UNKNOWN, "refuse"),
        (UNKNOWN, UP, "refuse"),
        (UNKNOWN, UNKNOWN, "refuse"),
    ],
)
def test_a_later_champion(recent: Interval, trusted: Interval, action: str) -> None:
    assert judge(facts(recent, trusted)).action == action


@pytest.mark.parametrize("place", ["recent", "trusted"])
@pytest.mark.parametrize("value", [0.69, NAN, float("inf"), -float("inf")])
def test_nothing_replaces_a_gate(place: str, value: float) -> None:
    bad = (*GOOD, gate(value, rows=place))
    for recent, trusted in ((UP, UP), (UP, DOWN)):
        found = judge(facts(recent, trusted, bad))
        assert found.action == "refuse"
        assert place in found.reason
        assert "0.7" in found.reason


@pytest.mark.parametrize(
    ("gain", "action"), [(UP, "promote"), (EVEN, "promote"), (DOWN, "refuse"), (UNKNOWN, "refuse")]
)
def test_the_first_champion_is_not_worse_than_the_baseline(gain: Interval, action: str) -> None:
    first = replace(facts(gain, gain), against="baseline", gains={"trusted": gain})
    assert judge(first).action == action


def test_the_first_champion_never_needs_approval() -> None:
    first = replace(facts(UP, DOWN), against="baseline")
    assert judge(first).action == "refuse"


def test_nothing_to_compare_with_is_refused() -> None:
    assert judge(replace(facts(UP, UP), gains={})).action == "refuse"


def test_no_declared_gates_leave_the_comparison() -> None:
    assert judge(facts(EVEN, EVEN, ())).action == "promote"
    assert judge(facts(DOWN, EVEN, ())).action == "refuse"


@pytest.mark.parametrize(
    ("value", "op", "passed"),
    [(0.7, ">=", True), (0.6999, ">=", False), (0.7, "<=", True), (0.7001, "<=", False), (NAN, "<=", False)],
)
def test_a_bound_is_inclusive_and_nan_never_passes(value: float, op: str, passed: bool) -> None:
    assert gate(value, op=op).passed is passed


def test_the_bounds_are_strict() -> None:
    assert not better(Interval(0.1, 0.0, 0.2))
    assert better(Interval(0.1, 1e-9, 0.2))
    assert not not_worse(Interval(0.1, -0.005, 0.2), 0.005)
    assert not_worse(Interval(0.1, -0.00499, 0.2), 0.005)


def test_the_reason_says_what_was_measured() -> None:
    assert judge(facts(UP, DOWN)).reason == (
        "better on recent, worse on trusted: "
        "AUC recent +0.0200 [+0.0100, +0.0300], trusted -0.0200 [-0.0300, -0.0100], margin 0.005"
    )


def test_json_holds_no_nan() -> None:
    found = judge(facts(UP, UP, (gate(NAN),))).to_json()
    assert found["action"] == "refuse"
    assert found["gates"][0]["value"] is None
    assert found["gates"][0]["passed"] is False
