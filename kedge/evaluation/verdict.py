"""May the challenger go into production? A pure function of facts that were measured before.

There is no confirmation rule yet (a later delivery of another partition that shows the same change): a challenger that
is better on recent nights and worse on trusted ones always needs approval.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from kedge.evaluation.bootstrap import Interval
from kedge.spec.gates import Task

Action = Literal["promote", "refuse", "needs_approval"]
_COMPARE = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One gate on one set of rows: `recent` or `trusted`."""

    name: str
    rows: str
    metric: str
    op: Literal[">=", "<="]
    bound: float
    value: float

    @property
    def passed(self) -> bool:
        """NaN and infinity never pass."""
        return isfinite(self.value) and bool(_COMPARE[self.op](self.value, self.bound))

    def __str__(self) -> str:
        value = f"{self.value:.4f}" if isfinite(self.value) else "unknown"
        return f"{self.metric} on {self.rows} {value} (gate {self.op} {self.bound:g})"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a verdict rests on.

    Attributes:
        gates: every gate on every set.
        against: whom the challenger is compared with; `baseline` for the first champion.
        gains: set -> paired interval of the challenger's leading figure minus the other's.
        margin: how much worse "not worse" may be.
        task: what is learned.
    """

    gates: tuple[Judged, ...]
    against: Literal["champion", "baseline"]
    gains: Mapping[str, Interval]
    margin: float
    task: Task = "binary"

    @property
    def measure(self) -> str:
        """What models are compared by, for people."""
        return {"binary": "AUC", "regression": "r2", "count": "deviance gain"}[self.task]

    @property
    def baseline(self) -> str:
        """What the baseline is, for people."""
        return {"binary": "logistic", "regression": "ridge", "count": "Poisson"}[self.task]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do with the challenger, and why in one sentence for people."""

    action: Action
    reason: str
    gates: tuple[Judged, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {"action": self.action, "reason": self.reason, "gates": [_gate_json(gate) for gate in self.gates]}


def better(gain: Interval) -> bool:
    """The lower 95 % bound of the paired bootstrap is above 0."""
    return isfinite(gain.low) and gain.low > 0


def not_worse(gain: Interval, margin: float) -> bool:
    """The lower 95 % bound of the paired bootstrap is above `-margin`."""
    return isfinite(gain.low) and gain.low > -margin


def judge(facts: Facts) -> Verdict:
    """The verdict.

    Gates come first, on both sets: nothing replaces one. Then the first champion must not be worse than the baseline
    on the sets given; a later one must not be worse than the champion on recent and on trusted nights. Better on
    recent and worse on trusted needs approval; everything else is refused.
    """
    failed = [gate for gate in facts.gates if not gate.passed]
    if failed:
        return _verdict(facts, "refuse", "gate not met: " + "; ".join(map(str, failed)))
    if not facts.gains:
        return _verdict(facts, "refuse", f"nothing to compare with the {facts.against}")
    worse = [rows for rows, gain in facts.gains.items() if not not_worse(gain, facts.margin)]
    if not worse:
        return _verdict(facts, "promote", _promoted(facts))
    trusted = facts.gains.get("trusted")
    known = trusted is not None and isfinite(trusted.low)
    if facts.against == "champion" and worse == ["trusted"] and known and better(facts.gains["recent"]):
        return _verdict(facts, "needs_approval", f"better on recent, worse on trusted: {_gains(facts)}")
    return _verdict(facts, "refuse", f"worse than the {facts.against} on {' and '.join(worse)}: {_gains(facts)}")


def _promoted(facts: Facts) -> str:
    if facts.against == "baseline":
        return f"first champion: every gate holds, not worse than the {facts.baseline} baseline: {_gains(facts)}"
    ahead = [rows for rows, gain in facts.gains.items() if better(gain)]
    return f"every gate holds, {'better on ' + ' and '.join(ahead) + ', ' if ahead else ''}not worse: {_gains(facts)}"


def _gains(facts: Facts) -> str:
    shown = (f"{rows} {_signed(g.value)} [{_signed(g.low)}, {_signed(g.high)}]" for rows, g in facts.gains.items())
    return f"{facts.measure} " + ", ".join(shown) + f", margin {facts.margin:g}"


def _signed(x: float) -> str:
    return f"{x:+.4f}" if isfinite(x) else "unknown"


def _verdict(facts: Facts, action: Action, reason: str) -> Verdict:
    return Verdict(action=action, reason=reason, gates=facts.gates)


def _gate_json(gate: Judged) -> dict[str, Any]:
    value = gate.value if isfinite(gate.value) else None
    return {**vars(gate), "value": value, "passed": gate.passed}
