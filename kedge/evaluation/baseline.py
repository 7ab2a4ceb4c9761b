"""A linear model on the same features: what a model must not be worse than to be the first champion.

Logistic regression of a class, ridge regression of a number, Poisson regression of a rate weighted by exposure, each
with a penalty of half the squared norm of the coefficients beside the sum of the losses.

Its coefficients stay in memory: nothing of it is stored but its figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kedge.evaluation.metrics import Bools, Floats
from kedge.spec.gates import Task

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge

Kinds = Mapping[str, Literal["numeric", "category"]]
MAX_CATEGORIES = 50
MIN_ROWS = 20
_CLIP = 5.0  # standard deviations: one extreme balance must not bend the line for everybody


@dataclass(frozen=True)
class Numeric:
    """A column in standard deviations around its mean, plus a column that says it was missing."""

    column: str
    mean: float
    spread: float

    @classmethod
    def fit(cls, column: str, frame: pl.DataFrame) -> "Numeric":
        values = _numbers(frame[column])
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(column, 0.0, 1.0)
        return cls(column, float(known.mean()), float(known.std()) or 1.0)

    def design(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        values = _numbers(frame[self.column])
        missing = ~np.isfinite(values)
        scaled = np.clip((np.where(missing, self.mean, values) - self.mean) / self.spread, -_CLIP, _CLIP)
        return np.column_stack([scaled, missing.astype(np.float64)])


@dataclass(frozen=True)
class Category:
    """A column of zeros and ones per frequent category; all zeros for a rare, unseen or missing one."""

    column: str
    values: tuple[str, ...]

    @classmethod
    def fit(cls, column: str, frame: pl.DataFrame) -> "Category":
        counts = frame.select(pl.col(column).cast(pl.String)).drop_nulls().group_by(column).len()
        frequent = counts.filter(pl.col("len") >= MIN_ROWS).sort(["len", column], descending=[True, False])
        return cls(column, tuple(frequent[column].head(MAX_CATEGORIES).to_list()))

    def design(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        places = {value: place for place, value in enumerate(self.values)}
        codes = frame[self.column].cast(pl.String).replace_strict(places, default=-1, return_dtype=pl.Int64).to_numpy()
        hot = np.zeros((len(frame), len(self.values)))
        seen = np.flatnonzero(codes >= 0)
        hot[seen, codes[seen]] = 1.0
        return hot


@dataclass(frozen=True)
class Baseline:
    """A fitted linear model, or the base rate where there is nothing to fit.

    Attributes:
        rate: share of positives, mean, or counts per unit of exposure; of a regression, `spread` is the target's.
    """

    columns: tuple[Numeric | Category, ...]
    model: "LogisticRegression | Ridge | PoissonRegressor | None"
    rate: float
    task: Task = "binary"
    spread: float = 1.0

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        y: Bools | Floats,
        kinds: Kinds,
        *,
        task: Task = "binary",
        exposure: Floats | None = None,
    ) -> "Baseline":
        """Fit on training rows.

        Args:
            frame: (n,) rows with every feature.
            y: (n,) outcomes.
            kinds: feature -> how to read it.
            task: what the outcomes are.
            exposure: (n,) of counts; None: 1 each.
        """
        columns = tuple((Numeric if kind == "numeric" else Category).fit(name, frame) for name, kind in kinds.items())
        if task != "binary":
            return cls._numeric(columns, frame, np.asarray(y, np.float64), task, exposure)
        rate = float(y.mean()) if len(y) else 0.5
        if not columns or not 0 < rate < 1:
            return cls(columns, None, rate)
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(solver="newton-cholesky", max_iter=100)
        return cls(columns, model.fit(design(columns, frame), y), rate)

    @classmethod
    def _numeric(
        cls,
        columns: "tuple[Numeric | Category, ...]",
        frame: pl.DataFrame,
        y: Floats,
        task: Task,
        exposure: Floats | None,
    ) -> "Baseline":
        exposed = np.ones(len(y)) if exposure is None else exposure
        rate, spread = (float(y.sum() / exposed.sum()), float(y.std())) if len(y) else (0.0, 0.0)
        if not columns or spread == 0:
            return cls(columns, None, rate, task)
        from sklearn.linear_model import PoissonRegressor, Ridge

        if task == "regression":
            fitted = Ridge(alpha=1.0).fit(design(columns, frame), (y - rate) / spread)
            return cls(columns, fitted, rate, task, spread)
        # its loss is the mean over the weights, the penalty is not
        model = PoissonRegressor(alpha=1 / exposed.sum(), solver="newton-cholesky", max_iter=100)
        return cls(columns, model.fit(design(columns, frame), y / exposed, sample_weight=exposed), rate, task)

    def score(self, frame: pl.DataFrame, exposure: Floats | None = None) -> Floats:
        """(n,) chance of the positive class, expected number, or expected count for (n,) exposures."""
        exposed = np.ones(len(frame)) if exposure is None else exposure
        if self.model is None:
            return self.rate * exposed
        if self.task == "regression":
            return np.asarray(self.rate + self.spread * self.model.predict(design(self.columns, frame)), np.float64)
        if self.task == "count":
            return np.asarray(exposed * self.model.predict(design(self.columns, frame)), np.float64)
        return np.asarray(self.model.predict_proba(design(self.columns, frame))[:, 1], dtype=np.float64)


def design(columns: tuple[Numeric | Category, ...], frame: pl.DataFrame) -> NDArray[np.float64]:
    """(n, terms) of the regression."""
    return np.column_stack([column.design(frame) for column in columns])


def _numbers(column: pl.Series) -> Floats:
    """Numbers as they are, dates as days, missing as NaN."""
    if column.dtype.is_temporal():
        column = column.cast(pl.Datetime("us")).to_physical() / 86_400e6
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
