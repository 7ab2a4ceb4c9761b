"""Figures of merit for a predicted number, on weighted rows.

Every function takes `y` (n,) float64 outcomes, `p` (n,) predictions in the same unit and `w` (n,) non-negative weights
(default: one each). A figure that the rows cannot show is NaN, and NaN never passes a gate.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kedge.evaluation.metrics import Floats, ratio, weights

METRICS = ("rmse", "mae", "r2")


def rmse(y: Floats, p: Floats, w: Floats | None = None) -> float:
    """Root of the mean squared error, in the target's unit."""
    w = weights(y, w)
    return float(np.sqrt(ratio(float(w @ np.square(p - y)), float(w.sum()))))


def mae(y: Floats, p: Floats, w: Floats | None = None) -> float:
    """Mean absolute error, in the target's unit."""
    w = weights(y, w)
    return ratio(float(w @ np.abs(p - y)), float(w.sum()))


def r2(y: Floats, p: Floats, w: Floats | None = None) -> float:
    """Share of the variance around the rows' own mean that is explained; below 0 for less than that mean does."""
    w = weights(y, w)
    centred = y - ratio(float(w @ y), float(w.sum()))
    return 1 - ratio(float(w @ np.square(p - y)), float(w @ np.square(centred)))


class Sums:
    """One model's rows as sums by unit, whose weighted sums give every figure."""

    def __init__(
        self, y: Floats, p: Floats, units: NDArray[np.int64], num_units: int, exposure: Floats | None = None
    ) -> None:
        self.y, self.p = y, p
        # About the mean: the difference of two large sums would lose the digits of a small spread.
        centred = y - (y.mean() if len(y) else 0.0)
        columns = [np.ones(len(y)), np.square(p - y), np.abs(p - y), centred, np.square(centred)]
        self.sums_UC = np.stack([np.bincount(units, weights=c, minlength=num_units) for c in columns], axis=1)

    def values(self) -> dict[str, float]:
        """Every figure of the rows themselves."""
        return {"rmse": rmse(self.y, self.p), "mae": mae(self.y, self.p), "r2": r2(self.y, self.p)}

    @cached_property
    def _sums(self) -> NDArray[np.float32]:
        return self.sums_UC.astype(np.float32)

    def figures(self, drawn: NDArray[np.int8]) -> dict[str, Floats]:
        """(replicates,) of every figure, for (replicates, units) weights."""
        rows, squares, distances, first, second = (drawn.astype(np.float32) @ self._sums).astype(np.float64).T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = second - np.square(first) / rows
            return {
                "rmse": np.sqrt(squares / rows),
                "mae": distances / rows,
                "r2": 1 - squares / np.where(spread > 0, spread, np.nan),
            }
