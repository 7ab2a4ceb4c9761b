from collections.abc import Callable

import numpy as np
import pytest

from kedge.drift import evidently
from kedge.drift.column import Column
from kedge.drift.noise import fitted_quantile, noise_bound, noise_level, null_distances

LAWS = {
    "normal": lambda r, n: r.normal(size=n),
    "lognormal": lambda r, n: r.lognormal(size=n),
    "decades": lambda r, n: r.integers(194, 201, n) * 10.0,
    "rare class": lambda r, n: r.choice(["no", "yes"], n, p=[0.93, 0.07]),
    "eight plans": lambda r, n: r.choice(list("abcdefgh"), n),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("num_current", [3_000, 200])
def test_the_fitted_tail_agrees_with_resampling(
    law: str, num_current: int, column: Callable[..., Column], random: np.random.Generator
) -> None:
    """At 99 % as the design asks, and further out where 20,000 draws still show something."""
    made = column(LAWS[law](random, 10_000), LAWS[law](random, num_current))
    few = null_distances(made, seed=1)
    many = null_distances(made, seed=2, num_draws=20_000)
    assert fitted_quantile(few, 0.99) == pytest.approx(np.quantile(many, 0.99), rel=0.1)
    assert fitted_quantile(few, 0.999) == pytest.approx(np.quantile(many, 0.999), rel=0.2)
    assert fitted_quantile(many, 0.999) == pytest.approx(np.quantile(many, 0.999), rel=0.1)


def test_the_null_is_that_of_fresh_samples(column: Callable[..., Column], random: np.random.Generator) -> None:
    """Dealing one pair's rows out again shows the same noise as drawing new pairs from the same world."""

    def fresh(law: str) -> float:
        return evidently.distance(column(LAWS[law](random, 2_000), LAWS[law](random, 200)))

    for law in ("normal", "eight plans"):
        drawn = np.quantile([fresh(law) for _ in range(300)], 0.9)
        dealt = null_distances(column(LAWS[law](random, 2_000), LAWS[law](random, 200)), seed=3)
        assert np.quantile(dealt, 0.9) == pytest.approx(drawn, rel=0.15)


def test_the_chi_square_law_of_the_jensen_shannon_distance(column: Callable[..., Column]) -> None:
    """8 JSD / (1/n + 1/m) is chi-square with categories - 1 degrees of freedom, asymptotically."""
    from scipy.stats import chi2

    made = column(list("abcd") * 2_500, list("abcd") * 750)
    asymptotic = np.sqrt(chi2.ppf(0.9999, 3) * (1 / 10_000 + 1 / 3_000) / 8)
    assert noise_bound(made, level=0.9999, seed=0) == pytest.approx(asymptotic, rel=0.08)


def test_small_days_need_large_effects(column: Callable[..., Column], random: np.random.Generator) -> None:
    def bound(rows: int) -> float:
        draw = LAWS["eight plans"]
        return noise_bound(column(draw(random, 10_000), draw(random, rows)), level=0.9999, seed=0)

    assert bound(48) > bound(200) > bound(3_000)
    assert bound(48) > 0.2  # the fixed threshold of 0.1 would alarm every night


def test_rows_of_one_person_count_as_alike(column: Callable[..., Column], random: np.random.Generator) -> None:
    """Four equal rows per person: the bound is that of a quarter of the rows."""
    reference, current = random.normal(size=2_500), random.normal(size=50)
    fourfold = column(np.repeat(reference, 4), np.repeat(current, 4), (np.arange(10_000) // 4, np.arange(200) // 4))
    single = column(reference, current)
    level = 0.999
    assert noise_bound(fourfold, level=level, seed=0) == pytest.approx(
        noise_bound(single, level=level, seed=0), rel=0.2
    )


def test_the_same_seed_gives_the_same_bound(column: Callable[..., Column], random: np.random.Generator) -> None:
    made = column(random.normal(size=500), random.normal(size=90))
    assert noise_bound(made, level=0.999, seed=5) == noise_bound(made, level=0.999, seed=5)


def test_columns_that_cannot_vary(column: Callable[..., Column]) -> None:
    constant = column(np.full(100, 2.0), np.full(30, 2.0))
    assert noise_bound(constant, level=0.9999, seed=0) == 0
    everybody_another = column([f"a{i}" for i in range(100)], [f"b{i}" for i in range(30)])
    assert noise_bound(everybody_another, level=0.9999, seed=0) == pytest.approx(np.sqrt(np.log(2)), rel=1e-6)


def test_the_level_is_shared_among_the_columns() -> None:
    assert noise_level(1) == pytest.approx(0.999)
    assert noise_level(10) == pytest.approx(0.9999)
