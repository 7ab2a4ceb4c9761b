"""The logistic regression against scikit-learn's own pipeline, and its edge cases."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from kedge.evaluation.baseline import Baseline
from kedge.evaluation.metrics import auc

KINDS = {"balance": "numeric", "plan": "category"}


def rows(n: int, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    balance, plan = random.normal(100, 20, n), random.choice(["basic", "plus", "flex"], n)
    chance = 1 / (1 + np.exp(-(balance - 100) / 20 - 1.5 * (plan == "flex")))
    return pl.DataFrame({"balance": balance, "plan": plan}), random.random(n) < chance


def test_scores_equal_scikit_learns_pipeline() -> None:
    frame, y = rows(4_000)
    columns = make_column_transformer((StandardScaler(), ["balance"]), (OneHotEncoder(), ["plan"]))
    theirs = make_pipeline(columns, LogisticRegression(tol=1e-8)).fit(frame.to_pandas(), y)
    ours = Baseline.fit(frame, y, KINDS).score(frame)  # type: ignore[arg-type]
    assert ours == pytest.approx(theirs.predict_proba(frame.to_pandas())[:, 1], abs=2e-3)


def test_it_learns_what_is_there() -> None:
    frame, y = rows(4_000)
    other, outcomes = rows(4_000, seed=1)
    assert auc(outcomes, Baseline.fit(frame, y, KINDS).score(other)) > 0.75  # type: ignore[arg-type]


def test_missing_unseen_rare_and_extreme_values_get_a_score() -> None:
    frame, y = rows(1_000)
    odd = pl.DataFrame({"balance": [None, 1e300, -1e300, float("nan")], "plan": [None, "new", "flex", "basic"]})
    scores = Baseline.fit(frame, y, KINDS).score(odd)  # type: ignore[arg-type]
    assert np.isfinite(scores).all()


def test_dates_bools_and_columns_without_values() -> None:
    n = 200
    frame = pl.DataFrame(
        {
            "born": [date(1950, 1, 1) + timedelta(days=30 * i) for i in range(n)],
            "active": [i % 2 == 0 for i in range(n)],
            "empty": pl.Series([None] * n, dtype=pl.Float64),
            "blank": pl.Series([None] * n, dtype=pl.String),
        }
    )
    y = np.arange(n) > 100
    kinds = {"born": "numeric", "active": "category", "empty": "numeric", "blank": "category"}
    assert auc(y, Baseline.fit(frame, y, kinds).score(frame)) == 1.0  # type: ignore[arg-type]


def test_one_class_only_gives_the_base_rate() -> None:
    frame, y = rows(100)
    assert Baseline.fit(frame, np.zeros_like(y), KINDS).score(frame).tolist() == [0.0] * 100  # type: ignore[arg-type]
