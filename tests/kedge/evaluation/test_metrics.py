"""Every figure against scikit-learn or scipy, with and without weights, with ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn import metrics as sk

from kedge.evaluation import metrics

ROWS = 500


def rows(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    y = random.random(ROWS) < 0.3
    p = np.clip(random.normal(0.4 + 0.2 * y, 0.2), 0, 1)
    return y, np.round(p, 1) if ties else p, random.integers(0, 4, ROWS).astype(float)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_scikit_learn(seed: int, weighted: bool, ties: bool) -> None:
    y, p, w = rows(seed, ties)
    given_w, said = (w if weighted else None), p >= metrics.THRESHOLD
    expected = {
        "auc": sk.roc_auc_score(y, p, sample_weight=given_w),
        "log_loss": sk.log_loss(y, p, sample_weight=given_w),
        "brier": sk.brier_score_loss(y, p, sample_weight=given_w),
        "accuracy": sk.accuracy_score(y, said, sample_weight=given_w),
        "precision": sk.precision_score(y, said, sample_weight=given_w),
        "recall": sk.recall_score(y, said, sample_weight=given_w),
    }
    found = {name: metric(y, p, given_w) for name, metric in metrics.METRICS.items() if name in expected}
    assert found == pytest.approx(expected, abs=1e-12)


def test_auc_is_mann_whitneys_u() -> None:
    y, p, _ = rows(0, ties=True)
    u = mannwhitneyu(p[y], p[~y]).statistic
    assert metrics.auc(y, p) == pytest.approx(u / (y.sum() * (~y).sum()))


def test_calibration_error_of_a_hand_worked_table() -> None:
    """Ten bins of one row each: the mean of |score - outcome|."""
    p = np.arange(10) / 10 + 0.05
    y = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1, 1], dtype=bool)
    by_hand = np.abs(p - y).mean()
    assert metrics.calibration_error(y, p) == pytest.approx(by_hand)


def test_calibration_error_with_bins_of_equal_mass() -> None:
    y, p, _ = rows(3, ties=False)
    order = np.argsort(p)
    parts = np.array_split(order, 10)
    by_hand = sum(len(i) * abs(p[i].mean() - y[i].mean()) for i in parts) / len(p)
    assert metrics.calibration_error(y, p) == pytest.approx(by_hand)


def test_calibration_error_does_not_depend_on_the_order_of_the_rows() -> None:
    y, p, w = rows(1, ties=True)
    shuffled = np.random.default_rng(7).permutation(ROWS)
    assert metrics.calibration_error(y[shuffled], p[shuffled], w[shuffled]) == pytest.approx(
        metrics.calibration_error(y, p, w)
    )


def test_calibration_error_of_a_constant_is_the_distance_from_the_base_rate() -> None:
    y = np.arange(100) < 37
    assert metrics.calibration_error(y, np.full(100, 0.5)) == pytest.approx(0.13)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_whole_weight_counts_as_so_many_equal_rows(seed: int) -> None:
    y, p, w = rows(seed, ties=True)
    times = w.astype(int)
    for name, metric in metrics.METRICS.items():
        if name != "calibration_error":  # a bin edge may fall inside a repeated row
            assert metric(y, p, w) == pytest.approx(metric(y.repeat(times), p.repeat(times), None)), name


@pytest.mark.parametrize(
    ("name", "y", "p"),
    [
        ("auc", [1, 1], [0.1, 0.2]),
        ("auc", [0, 0], [0.1, 0.2]),
        ("precision", [1, 0], [0.1, 0.2]),
        ("recall", [0, 0], [0.9, 0.2]),
        ("log_loss", [], []),
        ("brier", [], []),
        ("calibration_error", [], []),
    ],
)
def test_what_the_rows_cannot_show_is_nan(name: str, y: list[int], p: list[float]) -> None:
    assert np.isnan(metrics.METRICS[name](np.array(y, dtype=bool), np.array(p, dtype=float), None))


def test_a_certain_and_wrong_score_has_a_finite_loss() -> None:
    assert np.isfinite(metrics.log_loss(np.array([True, False]), np.array([0.0, 1.0])))
