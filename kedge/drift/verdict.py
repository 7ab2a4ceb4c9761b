"""From distances to a verdict: pure rules over numbers that have been measured."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

METHODS = {"numeric": "Wasserstein distance in standard deviations", "category": "Jensen-Shannon distance"}
THRESHOLD = 0.1
"""Evidently's default for both distances: a smaller effect does not matter, however sure we are of it."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One distance and what it is held against.

    Attributes:
        method: name of the distance.
        value: the distance; None when a side has too few people to say anything.
        threshold: the smallest effect that matters.
        noise: what draws of this size stay below without drift; None with the value.
    """

    method: str
    value: float | None
    noise: float | None
    threshold: float = THRESHOLD

    @property
    def bound(self) -> float:
        """What the distance has to pass: the threshold or the noise, whichever is higher."""
        return max(self.threshold, self.noise or 0.0)

    @property
    def drifted(self) -> bool:
        return self.value is not None and self.value > self.bound

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "drifted": self.drifted}


@dataclass(frozen=True, kw_only=True)
class ColumnVerdict:
    """A column's verdict: its values drifted, or the share of rows without a value did."""

    values: Measured
    missing: Measured | None = None

    @property
    def drifted(self) -> bool:
        return self.values.drifted or (self.missing is not None and self.missing.drifted)

    @property
    def judged(self) -> bool:
        return self.values.value is not None or (self.missing is not None and self.missing.value is not None)

    def to_json(self) -> dict[str, Any]:
        missing = {"missing": self.missing.to_json()} if self.missing else {}
        return {**self.values.to_json(), **missing, "drifted": self.drifted}


@dataclass(frozen=True, kw_only=True)
class DayVerdict:
    """The day's verdict with its reason.

    Attributes:
        drifted: None when nothing could be judged.
        share: of the judged feature columns, how many drifted; None without any.
    """

    drifted: bool | None
    share: float | None
    reason: str


def day_verdict(
    features: Mapping[str, ColumnVerdict], prediction: ColumnVerdict, target: ColumnVerdict, *, share: float
) -> DayVerdict:
    """A day drifts when `share` of the feature columns drift, or the prediction or the target does.

    Columns that could not be judged are left out of the share; a day with nothing judged has no verdict.
    """
    judged = {name: verdict for name, verdict in features.items() if verdict.judged}
    if not judged and not prediction.judged and not target.judged:
        return DayVerdict(drifted=None, share=None, reason="too few people to judge any column")
    drifted = [name for name, verdict in judged.items() if verdict.drifted]
    measured = len(drifted) / len(judged) if judged else None
    causes = [f"{len(drifted)} of {len(judged)} features"] if measured is not None and measured >= share else []
    causes += [name for name, verdict in (("the prediction", prediction), ("the target", target)) if verdict.drifted]
    if causes:
        return DayVerdict(drifted=True, share=measured, reason=f"drifted: {', '.join(causes)}")
    return DayVerdict(drifted=False, share=measured, reason=f"{len(drifted)} of {len(judged)} features drifted")
