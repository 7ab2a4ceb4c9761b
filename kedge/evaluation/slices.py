"""Where the model is weakest: the AUC of each declared slice that is large enough to say something."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kedge.evaluation.bootstrap import Interval, replicate
from kedge.evaluation.metrics import Bools, Floats, auc

MIN_ROWS = 100
MIN_RARER = 10
MIN_PEOPLE = 11
MISSING = "(missing)"


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows that share one value of one column; large enough to be shown."""

    column: str
    value: str
    rows: int
    people: int
    auc: Interval

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "auc": self.auc.to_json()}


@dataclass(frozen=True, kw_only=True)
class Slices:
    """All slices of a set of rows.

    Attributes:
        shown: slices with enough rows, people and outcomes of both kinds, weakest first; the weakest has an interval.
        insufficient: how many other slices there are; nothing else is said about them.
    """

    shown: tuple[Slice, ...]
    insufficient: int

    @property
    def worst(self) -> Interval:
        """The AUC of the weakest slice; NaN when no slice is large enough, or none is declared."""
        unknown = float("nan")
        return self.shown[0].auc if self.shown else Interval(unknown, unknown, unknown)

    def to_json(self) -> dict[str, Any]:
        return {"shown": [s.to_json() for s in self.shown], "insufficient": self.insufficient}


def cut(frame: pl.DataFrame, y: Bools, p: Floats, units: NDArray[np.int64], *, seed: int = 0) -> Slices:
    """Slice the rows by every column of `frame` and measure each slice.

    Args:
        frame: (n,) the declared slice columns.
        y, p: (n,) outcomes and scores.
        units: (n,) number of each row's person, 0-based without gaps.
        seed: of the weakest slice's bootstrap.
    """
    found = [(column, value, inside) for column in frame.columns for value, inside in _values(frame[column])]
    large = [(column, value, inside) for column, value, inside in found if _enough(y, units, inside)]
    scored = sorted(((auc(y[i], p[i], None), column, value, i) for column, value, i in large), key=lambda s: s[:3])
    shown = [
        Slice(
            column=column,
            value=value,
            rows=int(inside.sum()),
            people=len(np.unique(units[inside])),
            auc=_interval(y[inside], p[inside], units[inside], seed) if place == 0 else Interval(area, *_UNKNOWN),
        )
        for place, (area, column, value, inside) in enumerate(scored)
    ]
    return Slices(shown=tuple(shown), insufficient=len(found) - len(large))


_UNKNOWN = (float("nan"), float("nan"))


def _values(column: pl.Series) -> Iterator[tuple[str, Bools]]:
    text = column.cast(pl.String).fill_null(MISSING)
    for value in text.unique().sort():
        yield str(value), (text == value).to_numpy()


def _enough(y: Bools, units: NDArray[np.int64], inside: Bools) -> bool:
    rows, positives = int(inside.sum()), int(y[inside].sum())
    if rows < MIN_ROWS or min(positives, rows - positives) < MIN_RARER:
        return False
    return len(np.unique(units[inside])) >= MIN_PEOPLE


def _interval(y: Bools, p: Floats, units: NDArray[np.int64], seed: int) -> Interval:
    dense = np.unique(units, return_inverse=True)[1]
    return replicate(y, {"model": p}, dense, seed=seed)["model"].interval("auc")
