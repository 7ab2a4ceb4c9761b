"""Figures of merit for expected counts, on weighted rows.

Every function takes `y` (n,) counts, `p` (n,) expected counts for each row's exposure, `exposure` (n,) numbers above 0
(default: 1 each) and `w` (n,) non-negative weights (default: one each). A figure that the rows cannot show is NaN, and
NaN never passes a gate.
"""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kedge.evaluation.metrics import BINS, Floats, mass_bins, ratio, weights

METRICS = ("poisson_deviance", "deviance_gain")
_TINY = float(np.finfo(np.float64).eps)


def row_deviances(y: Floats, p: Floats) -> Floats:
    """(n,) 2 (y log(y / p) - y + p), expected counts clipped to at least eps (McCullagh and Nelder 1989, ch. 2.3)."""
    clipped = np.maximum(p, _TINY)
    return np.asarray(2 * (_xlogx(y) - y * np.log(clipped) - y + clipped))


def poisson_deviance(y: Floats, p: Floats, exposure: Floats | None = None, w: Floats | None = None) -> float:
    """Poisson deviance per unit of exposure: that of the rates, weighted by exposure."""
    w = weights(y, w)
    return ratio(float(w @ row_deviances(y, p)), float(w @ weights(y, exposure)))


def deviance_gain(y: Floats, p: Floats, exposure: Floats | None = None, w: Floats | None = None) -> float:
    """1 - deviance / deviance of the rows' own mean rate, the share explained (D^2); below 0 for less than that."""
    w, exposed = weights(y, w), weights(y, exposure)
    mean = exposed * ratio(float(w @ y), float(w @ exposed))
    return 1 - ratio(float(w @ row_deviances(y, p)), float(w @ row_deviances(y, mean)) if (w @ y) > 0 else 0.0)


def calibration(y: Floats, p: Floats, exposure: Floats | None = None) -> list[dict[str, Any]]:
    """Expected and observed counts by bins of equal exposure, from the lowest predicted rate to the highest; empty if
    an expected count is not finite."""
    if not np.isfinite(p).all():
        return []
    exposed = weights(y, exposure)
    bins = mass_bins(p / exposed, exposed)
    sums = (np.bincount(bins, weights=part, minlength=BINS) for part in (np.ones(len(y)), p, y))
    return [{"rows": int(n), "expected": float(e), "observed": float(o)} for n, e, o in zip(*sums, strict=True)]


class Sums:
    """One model's rows as sums by unit, whose weighted sums give every figure."""

    def __init__(
        self, y: Floats, p: Floats, units: NDArray[np.int64], num_units: int, exposure: Floats | None = None
    ) -> None:
        self.y, self.p, self.exposure = y, p, exposure
        exposed = weights(y, exposure)
        # The deviance of any constant rate r is 2 (saturated - sum(y) log r - sum(y) + r sum(exposure)).
        saturated = _xlogx(y) - y * np.log(exposed)
        columns = [row_deviances(y, p), exposed, y, saturated]
        self.sums_UC = np.stack([np.bincount(units, weights=c, minlength=num_units) for c in columns], axis=1)

    def values(self) -> dict[str, float]:
        """Every figure of the rows themselves."""
        rows = self.y, self.p, self.exposure
        return {"poisson_deviance": poisson_deviance(*rows), "deviance_gain": deviance_gain(*rows)}

    @cached_property
    def _sums(self) -> NDArray[np.float32]:
        return self.sums_UC.astype(np.float32)

    def figures(self, drawn: NDArray[np.int8]) -> dict[str, Floats]:
        """(replicates,) of every figure, for (replicates, units) weights."""
        deviance, exposed, counts, saturated = (drawn.astype(np.float32) @ self._sums).astype(np.float64).T
        with np.errstate(invalid="ignore", divide="ignore"):
            constant = 2 * (saturated - counts * np.log(counts / exposed))
            return {
                "poisson_deviance": deviance / exposed,
                "deviance_gain": 1 - deviance / np.where(constant > 0, constant, np.nan),
            }


def _xlogx(y: Floats) -> Floats:
    return np.asarray(y * np.log(np.where(y > 0, y, 1.0)))
