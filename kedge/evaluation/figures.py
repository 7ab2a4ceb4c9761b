"""What was measured on one set of held-out rows: every model on the same rows, with the same resampled people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedge.evaluation import counts
from kedge.evaluation.bootstrap import Interval, Replicates, replicate
from kedge.evaluation.heldout import HeldOut
from kedge.evaluation.metrics import Floats
from kedge.evaluation.slices import Slices, cut
from kedge.outcome import FEWEST_PEOPLE
from kedge.spec.gates import Metric

UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of a set.

    Attributes:
        nights: of the rows.
        enough: whether the set reaches the floor that the design asks for.
        rows, people, positives: how many.
        models: `challenger`, `champion`, `baseline` -> replicates; empty below 11 people, of whom nothing is said.
        slices: of the challenger.
        lead: what models are compared by.
        calibration: of the challenger's expected counts, see `counts.calibration`; None for other targets.
    """

    nights: tuple[str, ...]
    enough: bool
    rows: int
    people: int
    positives: int
    models: Mapping[str, Replicates]
    slices: Slices
    lead: Metric = "auc"
    calibration: list[dict[str, Any]] | None = None

    @classmethod
    def measure(cls, held: HeldOut, scores: Mapping[str, Floats], *, enough: bool, seed: int) -> "Figures":
        """Measure every model on the rows.

        Args:
            held: (n,) rows.
            scores: model -> (n,) scores; must hold `challenger`.
            enough: whether the rows reach the floor.
            seed: of the bootstrap.
        """
        shown = held.people >= FEWEST_PEOPLE
        declaration = held.declaration
        outcomes: Any = {"task": declaration.task, "exposure": held.exposure, "seed": seed}
        slices = held.frame.select(declaration.evaluation.slices)
        return cls(
            nights=tuple(sorted(held.counts())),
            enough=enough,
            rows=len(held.frame),
            people=held.people,
            positives=int((held.y > 0).sum()) if shown else 0,
            models=replicate(held.y, scores, held.units, **outcomes) if shown else {},
            slices=cut(slices, held.y, scores["challenger"], held.person, **outcomes)
            if shown
            else Slices(shown=(), insufficient=0, lead=declaration.lead),
            lead=declaration.lead,
            calibration=counts.calibration(np.asarray(held.y, np.float64), scores["challenger"], held.exposure)
            if shown and declaration.task == "count"
            else None,
        )

    def value(self, metric: str) -> float:
        """The challenger's figure that a gate reads; NaN where it is unknown."""
        if metric.startswith("worst_slice_"):
            return self.slices.worst.value
        return self.models["challenger"].values[metric] if self.models else float("nan")

    def gain(self, over: str) -> Interval:
        """Paired interval of the challenger's leading figure minus the other model's."""
        return self.models["challenger"].difference(self.models[over], self.lead) if self.models else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        models = {
            name: {metric: found.interval(metric).to_json() for metric in found.values}
            for name, found in self.models.items()
        }
        return {
            "nights": list(self.nights),
            "enough": self.enough,
            "rows": self.rows,
            "people": self.people,
            "positives": self.positives,
            **models,
            "gain": {name: self.gain(name).to_json() for name in self.models if name != "challenger"},
            "slices": self.slices.to_json(),
            f"worst_slice_{self.lead}": self.slices.worst.to_json(),
        } | ({"calibration": self.calibration} if self.calibration else {})


def lead(held: HeldOut, scores: Floats, seed: int) -> dict[str, Any] | None:
    """The leading figure of one model on some rows, as JSON; None below 11 people."""
    if held.people < FEWEST_PEOPLE:
        return None
    declaration = held.declaration
    found = replicate(
        held.y, {"model": np.asarray(scores)}, held.units, seed=seed, task=declaration.task, exposure=held.exposure
    )["model"]
    return {"rows": len(held.frame), declaration.lead: found.interval(declaration.lead).to_json()}
