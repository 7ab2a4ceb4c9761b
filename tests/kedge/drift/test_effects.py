from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from kedge.drift import evidently
from kedge.drift.column import Column
from kedge.drift.effects import jensen_shannon, wasserstein

DRAWS = {
    "normal": lambda r, n: r.normal(size=n),
    "lognormal": lambda r, n: r.lognormal(sigma=1.5, size=n),
    "few values": lambda r, n: r.integers(0, 6, n).astype(float),
    "years": lambda r, n: r.normal(1985, 12, n),
    "constant": lambda r, n: np.full(n, 3.0),
    "categories": lambda r, n: r.choice(["a", "b", "c", "dd"], n, p=[0.6, 0.3, 0.09, 0.01]),
}


@pytest.mark.parametrize("law", DRAWS)
@pytest.mark.parametrize("sizes", [(1000, 300), (60, 48)])
def test_equal_to_evidently_on_the_same_rows(
    law: str, sizes: tuple[int, int], column: Callable[..., Column], random: np.random.Generator
) -> None:
    made = column(*(DRAWS[law](random, n) for n in sizes))
    if made.kind == "category":
        counts = [np.bincount(side.values.astype(int), minlength=len(made.labels)) for side in made.sides]
        ours = jensen_shannon(*counts)
    else:
        points = np.unique(np.concatenate([side.values for side in made.sides]))
        counts = [(side.values[:, None] == points).sum(axis=0) for side in made.sides]
        ours = wasserstein(points, *counts)
    assert float(ours) == pytest.approx(evidently.distance(made), rel=1e-9, abs=1e-7)


def test_jensen_shannon_is_scipys() -> None:
    p, q = np.array([10, 0, 5]), np.array([1, 4, 0])
    assert float(jensen_shannon(p, q)) == pytest.approx(jensenshannon(p, q))
    assert float(jensen_shannon(np.array([1, 0]), np.array([0, 1]))) == pytest.approx(np.sqrt(np.log(2)))
    assert float(jensen_shannon(p, 3 * p)) == 0


def test_distributions_equal_but_for_rounding_are_at_no_distance(column: Callable[..., Column]) -> None:
    """4,999 of 9,999 against 4,998 of 9,997: scipy takes the root of a rounding error below 0."""
    reference, current = (["a"] * few + ["b"] * (few + 1) for few in (4_999, 4_998))
    assert evidently.distance(column(reference, current)) == pytest.approx(0, abs=1e-7)


def test_wasserstein_is_scipys_and_by_hand() -> None:
    """Values 0 and 2 (deviation 1) against 1 and 3: every row moves by 1."""
    points = np.array([0.0, 1.0, 2.0, 3.0])
    p, q = np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1])
    assert float(wasserstein(points, p, q)) == pytest.approx(1.0)
    assert float(wasserstein(points, p, q)) == pytest.approx(wasserstein_distance([0, 2], [1, 3]))


def test_many_pairs_at_once(random: np.random.Generator) -> None:
    p, q = random.integers(1, 9, (5, 4)), random.integers(1, 9, (5, 4))
    points = np.array([0.0, 0.5, 2.0, 7.0])
    assert jensen_shannon(p, q) == pytest.approx([float(jensen_shannon(a, b)) for a, b in zip(p, q, strict=True)])
    assert wasserstein(points, p, q) == pytest.approx(
        [float(wasserstein(points, a, b)) for a, b in zip(p, q, strict=True)]
    )
