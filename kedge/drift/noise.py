"""What a distance shows on samples of this size without any drift.

Reference and current are pooled and dealt out again into sides of the same sizes, many times (a permutation test's
null, which is valid whatever the distribution and however many categories). A tail is fitted to the squares of the
drawn distances, because the level asked for (0.1 % shared among all columns) lies beyond what draws can show.
A fixed threshold alone would call 48 quiet rows drifted: their median Jensen-Shannon distance is 0.28.
"""

import numpy as np
from numpy.typing import NDArray

from kedge.drift.column import Column
from kedge.drift.effects import jensen_shannon, wasserstein

FALSE_ALARMS = 0.001
"""Chance that any of a night's columns passes its bound on a quiet night (Bonferroni)."""

FEWEST_DRAWS, MOST_DRAWS = 500, 2_000
_DRAWN_CELLS = 200_000
"""Bounds the price of a column (about 30 ms): few categories get more draws, a fine-grained column fewer."""

_TAIL_GROWTH = 0.2
_LARGEST_CELL = 1 / 64


def noise_level(num_tests: int) -> float:
    """Quantile at which one of `num_tests` columns is bounded."""
    return 1 - FALSE_ALARMS / num_tests


def noise_bound(column: Column, *, level: float, seed: int) -> float:
    """The distance that drawing alone stays below with probability `level`.

    Where people have several rows, rows of one person count as alike (the design effect of cluster samples): the
    bound grows as if there were only so many independent rows.

    Args:
        column: both sides with at least one row each.
        level: e.g. 0.9999.
        seed: same seed, same bound.
    """
    return fitted_quantile(null_distances(column, seed=seed), level) * _design_effect(column)


def fitted_quantile(draws: NDArray[np.float64], level: float) -> float:
    """Quantile `level` of a distance from its draws, at least their 99 %.

    Squares of these distances are close to weighted sums of chi-squares, for which a gamma law shifted to fit mean,
    variance and skewness (Pearson type III) is exact in the one-term case and close otherwise.
    """
    from scipy.special import gammaincinv, ndtri

    squares = np.square(draws)
    mean, deviation = squares.mean(), squares.std()
    skewness = float(np.mean((squares - mean) ** 3) / deviation**3) if deviation > 1e-12 * mean else 0.0
    if skewness > 0.05:
        shape = 4 / skewness**2
        standard = (gammaincinv(shape, level) - shape) / np.sqrt(shape)
    else:
        standard = ndtri(level)
    return float(max(np.sqrt(max(mean + standard * deviation, 0.0)), np.quantile(draws, 0.99)))


def null_distances(column: Column, *, seed: int, num_draws: int | None = None) -> NDArray[np.float64]:
    """Distances of random deals of all rows into sides of the same sizes; shape (draws,)."""
    points, pool = (None, _tally(column)) if column.kind == "category" else _cells(column)
    draws = num_draws or int(np.clip(_DRAWN_CELLS // pool.size, FEWEST_DRAWS, MOST_DRAWS))
    random = np.random.default_rng(seed)
    current = random.multivariate_hypergeometric(pool, column.current.values.size, size=draws, method="marginals")
    if points is None:
        return jensen_shannon(pool - current, current)
    return wasserstein(points, pool - current, current)


def _tally(column: Column) -> NDArray[np.int64]:
    counts = np.bincount(np.concatenate([column.reference.values, column.current.values]), minlength=len(column.labels))
    return counts[counts > 0]


def _cells(column: Column) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All values of both sides, in runs of neighbours: single ones in the tails, where a heavy tail's noise lies, then
    longer and longer towards the middle.

    Returns:
        Mean of each cell, increasing, and its rows.
    """
    values = np.sort(np.concatenate([column.reference.values, column.current.values]))
    starts = np.searchsorted(values, np.unique(values[_cell_starts(values.size)]))
    counts = np.diff(np.append(starts, values.size))
    return np.add.reduceat(values, starts) / counts, counts


def _cell_starts(num_rows: int) -> NDArray[np.int64]:
    """Ranks at which cells start: 0, 1, 2, ... then growing by a fifth up to the middle, and mirrored."""
    starts, rank = [], 0
    while rank < num_rows / 2:
        starts.append(rank)
        rank += max(1, int(min(rank * _TAIL_GROWTH, num_rows * _LARGEST_CELL)))
    return np.unique([*starts, *(num_rows - 1 - start for start in starts)])


def _design_effect(column: Column) -> float:
    """How much wider the noise is than that of independent rows (distances shrink with the root of the rows)."""
    independent = sum(1 / side.values.size for side in column.sides)
    effective = sum(1 / side.effective_rows for side in column.sides)
    return float(np.sqrt(effective / independent))
