"""What was measured on one set of held-out rows: every model on the same rows, with the same resampled people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kedge.evaluation.bootstrap import Interval, Replicates, replicate
from kedge.evaluation.heldout import HeldOut
from kedge.evaluation.metrics import METRICS, Floats
from kedge.evaluation.slices import MIN_PEOPLE, Slices, cut

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
    """

    nights: tuple[str, ...]
    enough: bool
    rows: int
    people: int
    positives: int
    models: Mapping[str, Replicates]
    slices: Slices

    @classmethod
    def measure(cls, held: HeldOut, scores: Mapping[str, Floats], *, enough: bool, seed: int) -> "Figures":
        """Measure every model on the rows.

        Args:
            held: (n,) rows.
            scores: model -> (n,) scores; must hold `challenger`.
            enough: whether the rows reach the floor.
            seed: of the bootstrap.
        """
        shown = held.people >= MIN_PEOPLE
        slices = held.frame.select(held.declaration.evaluation.slices)
        return cls(
            nights=tuple(sorted(held.counts())),
            enough=enough,
            rows=len(held.frame),
            people=held.people,
            positives=int(held.y.sum()) if shown else 0,
            models=replicate(held.y, scores, held.units, seed=seed) if shown else {},
            slices=cut(slices, held.y, scores["challenger"], held.person, seed=seed)
            if shown
            else Slices(shown=(), insufficient=0),
        )

    def value(self, metric: str) -> float:
        """The challenger's figure that a gate reads; NaN where it is unknown."""
        if metric == "worst_slice_auc":
            return self.slices.worst.value
        return self.models["challenger"].values[metric] if self.models else float("nan")

    def gain(self, over: str) -> Interval:
        """Paired interval of the challenger's AUC minus the other model's."""
        return self.models["challenger"].difference(self.models[over]) if self.models else UNKNOWN

    def to_json(self) -> dict[str, Any]:
        models = {
            name: {metric: found.interval(metric).to_json() for metric in METRICS}
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
            "worst_slice_auc": self.slices.worst.to_json(),
        }


def area(held: HeldOut, scores: Floats, seed: int) -> dict[str, Any] | None:
    """The AUC of one model on some rows, as JSON; None below 11 people."""
    if held.people < MIN_PEOPLE:
        return None
    found = replicate(held.y, {"model": np.asarray(scores)}, held.units, seed=seed)["model"]
    return {"rows": len(held.frame), "auc": found.interval("auc").to_json()}
