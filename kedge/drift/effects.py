"""How far two distributions are apart, from counts: the two distances that Evidently uses on larger samples.

They work on many pairs at once (leading axes broadcast), because the noise bound needs them on thousands of draws.
Equal to Evidently's own functions on the same rows, which the tests check.
"""

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64] | NDArray[np.float64]

SMALLEST_SCALE = 0.001
"""Evidently's floor for the reference's standard deviation: a column of much smaller numbers is under-tested."""


def jensen_shannon(reference: Counts, current: Counts) -> NDArray[np.float64]:
    """Jensen-Shannon distance: root of the divergence, natural logarithm (Endres and Schindelin 2003).

    Args:
        reference: rows per category, shape (..., categories).
        current: the same categories.

    Returns:
        Shape (...), from 0 (equal) to sqrt(ln 2) (nothing in common).
    """
    p = reference / reference.sum(axis=-1, keepdims=True)
    q = current / current.sum(axis=-1, keepdims=True)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0.0)))


def wasserstein(points: NDArray[np.float64], reference: Counts, current: Counts) -> NDArray[np.float64]:
    """First Wasserstein distance in standard deviations of the reference: area between the distribution functions.

    Args:
        points: increasing values, shape (points,).
        reference: rows at each point, shape (..., points).
        current: the same points.

    Returns:
        Shape (...), 0 or more.
    """
    p = reference / reference.sum(axis=-1, keepdims=True)
    q = current / current.sum(axis=-1, keepdims=True)
    area = np.abs(np.cumsum(p - q, axis=-1)[..., :-1]) @ np.diff(points)
    mean = p @ points
    # About the mean of the points, not about 0: years around 2000 would lose their digits in the squares.
    centre = points.mean()
    variance = p @ np.square(points - centre) - np.square(mean - centre)
    return np.asarray(area / np.maximum(np.sqrt(np.maximum(variance, 0.0)), SMALLEST_SCALE))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log(ratio)).sum(axis=-1))
