"""Figures of merit for a score of the positive class, on weighted rows.

Every function takes `y` (n,) bool outcomes, `p` (n,) float64 scores in [0, 1] and `w` (n,) non-negative weights
(default: one each). A figure that the rows cannot show (one class only, nobody predicted positive) is NaN, and NaN
never passes a gate.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

THRESHOLD = 0.5
"""A row is predicted positive when its score reaches this (accuracy, precision, recall)."""

BINS = 10
"""Bins of equal mass of the calibration error."""

_TINY = float(np.finfo(np.float64).eps)


def weights(y: Bools | Floats, w: Floats | None) -> Floats:
    """The given weights, or one each."""
    return np.ones(len(y)) if w is None else np.asarray(w, dtype=np.float64)


def ratio(part: float, whole: float) -> float:
    """`part / whole`, NaN where there is nothing to divide by."""
    return part / whole if whole > 0 else float("nan")


def auc(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Area under the ROC curve: the chance that a positive row scores above a negative one, ties counting half.

    Mann and Whitney 1947; Hanley and McNeil 1982.
    """
    w = weights(y, w)
    order = np.argsort(p[~y], kind="stable")
    below = np.concatenate([[0.0], np.cumsum(w[~y][order])])
    negatives, positives = p[~y][order], p[y]
    first, last = (np.searchsorted(negatives, positives, side=side) for side in ("left", "right"))
    pairs = float(w[y] @ (below[first] + below[last])) / 2
    return ratio(pairs, float(w[y].sum() * below[-1]))


def row_losses(y: Bools, p: Floats) -> Floats:
    """(n,) negative log likelihood of each row, in nats, scores clipped to [eps, 1 - eps]."""
    clipped = np.clip(p, _TINY, 1 - _TINY)
    return -np.log(np.where(y, clipped, 1 - clipped))


def log_loss(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Mean negative log likelihood, in nats."""
    w = weights(y, w)
    return ratio(float(w @ row_losses(y, p)), float(w.sum()))


def brier(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Mean squared distance of score and outcome (Brier 1950)."""
    w = weights(y, w)
    return ratio(float(w @ (p - y) ** 2), float(w.sum()))


def mass_bins(p: Floats, w: Floats | None = None, bins: int = BINS) -> NDArray[np.int64]:
    """(n,) number of each row's bin: rows by ascending score, cut into `bins` parts of equal weight."""
    w = np.ones(len(p)) if w is None else w
    order = np.argsort(p, kind="stable")
    middle = np.cumsum(w[order]) - w[order] / 2
    found = np.empty(len(p), dtype=np.int64)
    found[order] = np.minimum((middle * bins / max(w.sum(), _TINY)).astype(np.int64), bins - 1)
    return found


def tied_gaps(y: Bools, p: Floats, w: Floats) -> Floats:
    """(n,) score minus outcome, the outcome averaged over rows of equal score.

    Without the averaging a bin edge inside a tie would make the calibration error depend on the order of the rows.
    """
    _, group = np.unique(p, return_inverse=True)
    mass = np.bincount(group, weights=w)
    rate = np.bincount(group, weights=w * y) / np.where(mass > 0, mass, 1)
    return np.asarray(p - rate[group])


def calibration_error(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Expected calibration error with bins of equal mass: the weighted mean of |mean score - share of positives|.

    Naeini, Cooper and Hauskrecht 2015 with the equal-mass bins of Nixon et al. 2019.
    """
    w = weights(y, w)
    gaps = np.bincount(mass_bins(p, w), weights=w * tied_gaps(y, p, w), minlength=BINS)
    return ratio(float(np.abs(gaps).sum()), float(w.sum()))


def accuracy(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Share of rows predicted right at `THRESHOLD`."""
    w = weights(y, w)
    return ratio(float(w[(p >= THRESHOLD) == y].sum()), float(w.sum()))


def precision(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Share of positives among rows predicted positive."""
    w, said = weights(y, w), p >= THRESHOLD
    return ratio(float(w[said & y].sum()), float(w[said].sum()))


def recall(y: Bools, p: Floats, w: Floats | None = None) -> float:
    """Share of positives that are predicted positive."""
    w, said = weights(y, w), p >= THRESHOLD
    return ratio(float(w[said & y].sum()), float(w[y].sum()))


METRICS: Mapping[str, Callable[[Bools, Floats, Floats | None], float]] = MappingProxyType(
    {f.__name__: f for f in (auc, log_loss, brier, calibration_error, accuracy, precision, recall)}
)
