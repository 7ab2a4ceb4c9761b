"""What a stage answers: facts and checks that people may read, never rows and never a value of a person."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Fact = bool | int | float | str | None

FEWEST_PEOPLE = 11
"""Whoever reads facts, reports and model files finds no number about fewer people than that."""

FEWEST_PEOPLE = 11
"""Whoever reads facts, reports and model files finds no number about fewer people than that."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The verdict of one named rule.

    Attributes:
        name: stable, matches `^[A-Za-z0-9_]+$`; becomes a Dagster asset check of that name.
        passed: whether the rule holds.
        blocking: a failed blocking check keeps the version from becoming current.
        facts: counts, shares, thresholds behind the verdict.
        description: one sentence for people.
    """

    name: str
    passed: bool
    blocking: bool = True
    facts: Mapping[str, Fact] = field(default_factory=dict)
    description: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "passed": self.passed,
            "blocking": self.blocking,
            "facts": dict(self.facts),
            "description": self.description,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Check":
        return cls(**data)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a stage measured on the files it has just written, before anybody can read them.

    Attributes:
        checks: verdicts; a failed blocking one leaves the version unpointed.
        facts: flat facts for people (row counts, shares, digests).
        notes: structured facts that later stages need (a training set's nights, a model's plan).
    """

    checks: tuple[Check, ...] = ()
    facts: Mapping[str, Fact] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
