"""The bootstrap against the slow way, against scipy, and against its own promise of coverage."""

import time

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap
from scipy.stats import poisson as scipy_poisson

from kedge.evaluation import bootstrap, metrics


def rows(seed: int, n: int = 2_000, people: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.random(n) < 0.2
    p = np.clip(np.round(random.normal(0.3 + 0.15 * y, 0.15), 2), 0, 1)
    units = np.unique(random.integers(0, people, n), return_inverse=True)[1]
    return y, p, units


def test_weights_are_poisson() -> None:
    drawn = bootstrap.poisson(np.random.default_rng(0), (1_000, 1_000))
    shares = np.bincount(drawn.ravel(), minlength=6)[:6] / drawn.size
    assert shares == pytest.approx(scipy_poisson.pmf(range(6), 1), abs=2e-3)
    assert np.corrcoef(drawn[0], drawn[1])[0, 1] == pytest.approx(0, abs=0.1)


def test_each_replicate_equals_the_weighted_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p, units = rows(0)
    kept: list[np.ndarray] = []
    draw = bootstrap.poisson

    def keep(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        kept.append(draw(random, shape))
        return kept[-1]

    monkeypatch.setattr(bootstrap, "poisson", keep)
    monkeypatch.setattr(bootstrap, "_CELLS", 10_000)  # several chunks
    found = bootstrap.replicate(y, {"m": p}, units, replicates=30)["m"]
    weights = np.concatenate(kept)
    assert weights.shape == (30, units.max() + 1)
    for name in set(metrics.METRICS) - {"calibration_error"}:
        slow = [metrics.METRICS[name](y, p, w[units].astype(float)) for w in weights]
        assert found.draws[name] == pytest.approx(slow, rel=1e-5), name
        assert found.values[name] == metrics.METRICS[name](y, p, None)


def test_interval_agrees_with_scipy_where_every_row_is_a_person() -> None:
    y, p, _ = rows(1, n=800)
    ours = bootstrap.replicate(y, {"m": p}, np.arange(800), replicates=4_000)["m"].interval("brier")
    theirs = scipy_bootstrap(
        ((p - y) ** 2,), np.mean, n_resamples=4_000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=6e-4)


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    """Rows of one person repeat: resampling rows instead of people would cover far less often."""
    truth, trials = 0.76, 120  # AUC of two normal distributions one standard deviation apart: Phi(1 / sqrt 2)
    random = np.random.default_rng(5)
    covered = {"people": 0, "rows": 0}
    for trial in range(trials):
        y = np.repeat(random.random(150) < 0.4, 4)
        p = 1 / (1 + np.exp(-np.repeat(random.normal(size=150), 4) - y))
        for name, units in (("people", np.repeat(np.arange(150), 4)), ("rows", np.arange(600))):
            found = bootstrap.replicate(y, {"m": p}, units, replicates=300, seed=trial)["m"].interval("auc")
            covered[name] += found.low <= truth <= found.high
    assert 0.90 <= covered["people"] / trials <= 0.99
    assert covered["rows"] / trials < 0.80


def test_a_paired_difference_is_much_narrower_than_two_separate_intervals() -> None:
    y, p, units = rows(2)
    better = np.clip(p + 0.02 * y, 0, 1)
    found = bootstrap.replicate(y, {"a": better, "b": p}, units)
    gain, alone = found["a"].difference(found["b"]), found["a"].interval("auc")
    assert gain.value == pytest.approx(metrics.auc(y, better) - metrics.auc(y, p))
    assert 0 < gain.low < gain.value < gain.high
    assert gain.high - gain.low < (alone.high - alone.low) / 2


def test_a_model_against_itself_gains_exactly_nothing() -> None:
    y, p, units = rows(3)
    found = bootstrap.replicate(y, {"a": p, "b": p}, units, replicates=50)
    assert found["a"].difference(found["b"]) == bootstrap.Interval(0.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_draws_and_another_one_others() -> None:
    y, p, units = rows(4)
    first, again, other = (
        bootstrap.replicate(y, {"m": p}, units, replicates=20, seed=s)["m"].draws["auc"] for s in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_calibration_error_lies_inside_its_interval() -> None:
    y, p, units = rows(6)
    honest = np.clip(np.where(y, 0.2, 0.2) + (p - p.mean()) * 0.1, 0, 1)
    found = bootstrap.replicate(y, {"m": honest}, units)["m"].interval("calibration_error")
    assert 0 <= found.low <= found.value <= found.high


def test_one_class_only_has_no_auc_and_no_interval() -> None:
    y, p, units = rows(7)
    found = bootstrap.replicate(np.zeros_like(y), {"m": p}, units, replicates=20)["m"]
    assert found.interval("auc").to_json() == {"value": None, "low": None, "high": None}
    assert np.isfinite(found.interval("brier").low)


def test_no_rows_at_all_have_no_figures() -> None:
    nothing = np.zeros(0)
    found = bootstrap.replicate(nothing.astype(bool), {"m": nothing}, nothing.astype(np.int64), replicates=5)["m"]
    assert all(np.isnan(found.interval(name).low) for name in metrics.METRICS)


def test_two_models_on_36_000_rows_take_seconds_not_minutes() -> None:
    y, p, units = rows(8, n=36_000, people=20_000)
    start = time.process_time()
    bootstrap.replicate(y, {"a": p, "b": p**1.1}, units)
    assert time.process_time() - start < 6  # about 1 s on an idle core
