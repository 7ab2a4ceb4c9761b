"""Figures of numbers and counts against scikit-learn, and their resampling against weights worked out one by one."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import PoissonRegressor, Ridge
from sklearn.metrics import (
    d2_tweedie_score,
    mean_absolute_error,
    mean_poisson_deviance,
    r2_score,
    root_mean_squared_error,
)

from kedge.evaluation import bootstrap, counts, regression
from kedge.evaluation.baseline import Baseline
from kedge.evaluation.sets import Count, recent
from kedge.evaluation.slices import cut

Array = np.ndarray[Any, Any]
ROWS = 400


def claims(rows: int = ROWS, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Counts, expected counts, exposures and weights."""
    rng = np.random.default_rng(seed)
    years, rate = rng.uniform(0.1, 1.5, rows), rng.gamma(2, 0.3, rows)
    return (
        rng.poisson(rate * years).astype(float),
        rate * years * rng.uniform(0.7, 1.3, rows),
        years,
        rng.poisson(1, rows) * 1.0,
    )


def prices(rows: int = ROWS, seed: int = 0) -> tuple[Array, Array, Array]:
    """Far from 0, so that a careless sum loses the digits."""
    rng = np.random.default_rng(seed)
    known = rng.normal(0, 90, rows)
    return 1e6 + known + rng.normal(0, 40, rows), 1e6 + known, rng.poisson(1, rows) * 1.0


def test_numbers_are_scikit_learns() -> None:
    y, p, w = prices()
    for weights in (w, None):
        assert regression.rmse(y, p, weights) == pytest.approx(root_mean_squared_error(y, p, sample_weight=weights))
        assert regression.mae(y, p, weights) == pytest.approx(mean_absolute_error(y, p, sample_weight=weights))
        assert regression.r2(y, p, weights) == pytest.approx(r2_score(y, p, sample_weight=weights))


def test_counts_are_scikit_learns() -> None:
    y, p, years, w = claims()
    for weights in (w, np.ones(ROWS)):
        whole = weights * years
        found = counts.poisson_deviance(y, p, years, weights)
        assert found == pytest.approx(mean_poisson_deviance(y / years, p / years, sample_weight=whole))
        gain = counts.deviance_gain(y, p, years, weights)
        assert gain == pytest.approx(d2_tweedie_score(y / years, p / years, power=1, sample_weight=whole))
    assert counts.poisson_deviance(y, p) == pytest.approx(mean_poisson_deviance(y, p))
    assert counts.deviance_gain(y, p) == pytest.approx(d2_tweedie_score(y, p, power=1))


def test_what_the_rows_cannot_show_is_not_a_number() -> None:
    nothing, something = np.zeros(20), np.ones(20)
    assert np.isnan(counts.deviance_gain(nothing, something))
    assert counts.poisson_deviance(nothing, something) == pytest.approx(2)
    assert np.isnan(regression.r2(something, nothing))
    assert np.isnan(regression.rmse(np.zeros(0), np.zeros(0)))
    assert np.isnan(counts.deviance_gain(np.arange(20.0), np.full(20, np.nan)))


@pytest.mark.parametrize("task", ["regression", "count"])
def test_replicates_are_the_figures_of_reweighted_people(task: Any) -> None:
    rng = np.random.default_rng(1)
    units = rng.integers(0, 60, ROWS)
    units[:60] = np.arange(60)
    drawn = rng.poisson(1, (5, 60)).astype(np.int8)
    if task == "count":
        y, p, years, _ = claims()
        found = counts.Sums(y, p, units, 60, years).figures(drawn)
        wanted = [
            {
                "poisson_deviance": counts.poisson_deviance(y, p, years, w),
                "deviance_gain": counts.deviance_gain(y, p, years, w),
            }
            for w in drawn[:, units].astype(float)
        ]
    else:
        y, p, _ = prices()
        found = regression.Sums(y, p, units, 60).figures(drawn)
        wanted = [
            {"rmse": regression.rmse(y, p, w), "mae": regression.mae(y, p, w), "r2": regression.r2(y, p, w)}
            for w in drawn[:, units].astype(float)
        ]
    for name, draws in found.items():
        assert draws == pytest.approx([figures[name] for figures in wanted], rel=1e-4, abs=1e-5)


def test_the_interval_holds_what_is_true_as_often_as_it_says() -> None:
    """r2 of a model whose own noise is known: 95 of 100 intervals, give or take chance."""
    true = 90**2 / (90**2 + 40**2)
    inside = 0
    for seed in range(100):
        y, p, _ = prices(seed=seed)
        found = bootstrap.replicate(y, {"m": p}, np.arange(ROWS), replicates=200, task="regression")["m"].interval("r2")
        inside += found.low <= true <= found.high
    assert 86 <= inside <= 100


def test_two_models_are_compared_on_the_same_people() -> None:
    y, p, years, _ = claims(2_000)
    constant = years * y.sum() / years.sum()
    scores = {"model": p, "mean": constant}
    found = bootstrap.replicate(y, scores, np.arange(2_000), task="count", exposure=years)
    gain = found["model"].difference(found["mean"], "deviance_gain")
    assert gain.value == pytest.approx(counts.deviance_gain(y, p, years))
    assert 0 < gain.low < gain.value < gain.high
    assert found["mean"].values["deviance_gain"] == pytest.approx(0)


def test_calibration_adds_up() -> None:
    y, p, years, _ = claims()
    bins = counts.calibration(y, p, years)
    assert len(bins) == 10
    assert sum(b["expected"] for b in bins) == pytest.approx(p.sum())
    assert sum(b["observed"] for b in bins) == y.sum()
    assert sum(b["rows"] for b in bins) == ROWS
    low, high = (bins[place]["expected"] / bins[place]["rows"] for place in (0, -1))
    assert low < high
    assert counts.calibration(y, np.full(ROWS, np.nan), years) == []


def test_the_baseline_of_counts_is_scikit_learns_poisson_regression() -> None:
    y, p, years, _ = claims()
    rate = p / years
    frame = pl.DataFrame({"rate": rate})
    found = Baseline.fit(frame, y, {"rate": "numeric"}, task="count", exposure=years)
    scaled = np.clip((rate - rate.mean()) / rate.std(), -5, 5)[:, None]
    peer = PoissonRegressor(alpha=1 / years.sum(), max_iter=1_000, tol=1e-8).fit(scaled, y / years, sample_weight=years)
    assert found.score(frame, years) == pytest.approx(peer.predict(scaled) * years, rel=1e-3)
    assert found.score(frame, years).sum() == pytest.approx(y.sum(), rel=0.01)
    nobody = Baseline.fit(frame, np.zeros(ROWS), {"rate": "numeric"}, task="count", exposure=years)
    assert nobody.score(frame, years).tolist() == [0.0] * ROWS


def test_the_baseline_of_numbers_is_scikit_learns_ridge_regression() -> None:
    y, p, _ = prices()
    frame = pl.DataFrame({"p": p - 1e6})
    found = Baseline.fit(frame, y, {"p": "numeric"}, task="regression")
    scaled = np.clip((p - p.mean()) / p.std(), -5, 5)[:, None]
    peer = Ridge(alpha=1.0).fit(scaled, (y - y.mean()) / y.std()).predict(scaled) * y.std() + y.mean()
    assert found.score(frame) == pytest.approx(peer)
    assert regression.r2(y, found.score(frame)) > 0.8


def test_enough_rows_of_counts_are_rows_above_0() -> None:
    nights = {"2026-01-01": Count(900, 80), "2026-01-02": Count(900, 99)}
    assert recent(nights, ["2026-01-02"], "count").nights == ("2026-01-01", "2026-01-02")
    assert recent(nights, ["2026-01-02"], "count").enough
    most = {"2026-01-02": Count(1_000, 999)}
    assert recent(most, ["2026-01-02"], "count").enough
    assert not recent(most, ["2026-01-02"], "binary").enough
    assert recent({"2026-01-02": Count(1_000, 0)}, ["2026-01-02"], "regression").enough
    assert not recent({"2026-01-02": Count(1_000, 99)}, ["2026-01-02"], "count").enough


def test_the_worst_slice_is_told_by_the_leading_figure() -> None:
    y, p, years, _ = claims(3_000)
    plan = np.where(np.arange(3_000) % 3 == 0, "weak", "strong")
    p = np.where(plan == "weak", years * y.sum() / years.sum(), p)
    frame = pl.DataFrame({"plan": plan})
    found = cut(frame, y, p, np.arange(3_000), task="count", exposure=years)
    weak = plan == "weak"
    assert [s.value for s in found.shown] == ["weak", "strong"]
    assert found.worst.value == pytest.approx(counts.deviance_gain(y[weak], p[weak], years[weak]))
    assert set(found.to_json()["shown"][0]) == {"column", "value", "rows", "people", "deviance_gain"}
    assert cut(frame, np.zeros(3_000), p, np.arange(3_000), task="count", exposure=years).shown == ()
    number = cut(frame, y, p, np.arange(3_000), task="regression")
    assert number.shown[0].to_json()["r2"]["value"] == pytest.approx(r2_score(y[weak], p[weak]))
