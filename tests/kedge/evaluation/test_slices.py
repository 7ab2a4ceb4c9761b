"""Slices: which are shown, which is the worst, and what is never said."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from kedge.evaluation.slices import cut


def rows(n: int = 3_000) -> tuple[pl.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    y = random.random(n) < 0.3
    plan = np.where(np.arange(n) < 40, "tiny", np.where(np.arange(n) % 3 == 0, "weak", "strong"))
    p = np.where(plan == "weak", random.random(n), np.clip(random.normal(0.3 + 0.3 * y, 0.2), 0, 1))
    return pl.DataFrame({"plan": plan}), y, p, np.arange(n)


def test_the_worst_slice_is_the_one_the_model_does_not_understand() -> None:
    frame, y, p, units = rows()
    found = cut(frame, y, p, units)
    weak = (frame["plan"] == "weak").to_numpy()
    assert [s.value for s in found.shown] == ["weak", "strong"]
    assert found.worst.value == pytest.approx(roc_auc_score(y[weak], p[weak]))
    assert found.worst.low < found.worst.value < found.worst.high


def test_a_small_slice_is_counted_and_not_named() -> None:
    frame, y, p, units = rows()
    found = cut(frame, y, p, units)
    assert found.insufficient == 1
    assert "tiny" not in str(found.to_json())


def test_a_slice_of_a_few_people_is_not_shown_however_many_rows_they_have() -> None:
    frame, y, p, units = rows()
    few = np.where(frame["plan"] == "weak", units % 10, units)
    assert [s.value for s in cut(frame, y, p, np.unique(few, return_inverse=True)[1]).shown] == ["strong"]


def test_ten_of_the_rarer_class_are_needed() -> None:
    frame, y, p, units = rows()
    weak = np.flatnonzero((frame["plan"] == "weak").to_numpy())
    for positives, shown in ((9, ["strong"]), (10, ["strong", "weak"])):
        y[weak] = False
        y[weak[:positives]] = True
        assert sorted(s.value for s in cut(frame, y, p, units).shown) == shown


def test_missing_values_are_a_slice() -> None:
    frame, y, p, units = rows()
    masked = frame.with_columns(pl.when(pl.col("plan") == "strong").then("plan").alias("plan"))
    assert cut(masked, y, p, units).shown[0].value == "(missing)"


def test_without_slices_the_worst_is_unknown() -> None:
    _, y, p, units = rows()
    assert np.isnan(cut(pl.DataFrame(), y, p, units).worst.value)
