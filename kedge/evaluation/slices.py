"""Where the model is weakest: the leading figure of each declared slice that is large enough to say something."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kedge.evaluation.bootstrap import Interval, replicate
from kedge.evaluation.counts import deviance_gain
from kedge.evaluation.metrics import Bools, Floats, auc
from kedge.evaluation.regression import r2
from kedge.outcome import FEWEST_PEOPLE
from kedge.spec.gates import LEAD, Metric, Task

MIN_ROWS = 100
MIN_RARER = 10
MISSING = "(missing)"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows that share one value of one column; large enough to be shown."""

    column: str
    value: str
    rows: int
    people: int
    lead: Metric
    figure: Interval

    def to_json(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in ("column", "value", "rows", "people")}
        return {**told, self.lead: self.figure.to_json()}


@dataclass(frozen=True, kw_only=True)
class Slices:
    """All slices of a set of rows.

    Attributes:
        shown: slices with enough rows, people and outcomes of both kinds, weakest first; the weakest has an interval.
        insufficient: how many other slices there are; nothing else is said about them.
        lead: the figure that is shown.
    """

    shown: tuple[Slice, ...]
    insufficient: int
    lead: Metric = "auc"

    @property
    def worst(self) -> Interval:
        """The figure of the weakest slice; NaN when no slice is large enough, or none is declared."""
        unknown = float("nan")
        return self.shown[0].figure if self.shown else Interval(unknown, unknown, unknown)

    def to_json(self) -> dict[str, Any]:
        return {"shown": [s.to_json() for s in self.shown], "insufficient": self.insufficient}


def cut(
    frame: pl.DataFrame,
    y: Bools | Floats,
    p: Floats,
    units: NDArray[np.int64],
    *,
    seed: int = 0,
    task: Task = "binary",
    exposure: Floats | None = None,
) -> Slices:
    """Slice the rows by every column of `frame` and measure each slice.

    Args:
        frame: (n,) the declared slice columns.
        y, p: (n,) outcomes and scores.
        units: (n,) number of each row's person, 0-based without gaps.
        seed: of the weakest slice's bootstrap.
        task: what the outcomes are.
        exposure: (n,) of counts; None: 1 each.
    """
    rows = _Rows(y, p, units, task, exposure)
    found = [(column, value, inside) for column in frame.columns for value, inside in _values(frame[column])]
    large = [(column, value, inside) for column, value, inside in found if rows.at(inside).enough]
    scored = sorted(((rows.at(i).figure, column, value, i) for column, value, i in large), key=lambda s: s[:3])
    shown = [
        Slice(
            column=column,
            value=value,
            rows=int(inside.sum()),
            people=len(np.unique(units[inside])),
            lead=LEAD[task],
            figure=rows.at(inside).interval(seed) if place == 0 else Interval(figure, *_UNKNOWN),
        )
        for place, (figure, column, value, inside) in enumerate(scored)
    ]
    return Slices(shown=tuple(shown), insufficient=len(found) - len(large), lead=LEAD[task])


_UNKNOWN = (float("nan"), float("nan"))


def _values(column: pl.Series) -> Iterator[tuple[str, Bools]]:
    text = column.cast(pl.String).fill_null(MISSING)
    for value in text.unique().sort():
        yield str(value), (text == value).to_numpy()


@dataclass(frozen=True)
class _Rows:
    """Outcomes, scores and people of some rows, as `cut` takes them."""

    y: Any
    p: Floats
    units: NDArray[np.int64]
    task: Task
    exposure: Floats | None

    def at(self, inside: Bools) -> "_Rows":
        exposure = None if self.exposure is None else self.exposure[inside]
        return _Rows(self.y[inside], self.p[inside], self.units[inside], self.task, exposure)

    @property
    def enough(self) -> bool:
        """Rows, people and, of two classes, rows of the rarer one; of counts, rows above 0."""
        rows, positives = len(self.y), int((self.y > 0).sum())
        telling = {"binary": min(positives, rows - positives), "regression": rows, "count": positives}[self.task]
        return rows >= MIN_ROWS and telling >= MIN_RARER and len(np.unique(self.units)) >= FEWEST_PEOPLE

    @property
    def figure(self) -> float:
        if self.task == "regression":
            return r2(self.y, self.p)
        if self.task == "count":
            return deviance_gain(self.y, self.p, self.exposure)
        return auc(self.y, self.p, None)

    def interval(self, seed: int) -> Interval:
        dense = np.unique(self.units, return_inverse=True)[1]
        found = replicate(self.y, {"model": self.p}, dense, seed=seed, task=self.task, exposure=self.exposure)
        return found["model"].interval(LEAD[self.task])
