"""Held-out rows as the figures need them: outcomes, whose row it is, and of which night."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kedge.evaluation.metrics import Bools, Floats
from kedge.evaluation.sets import Count
from kedge.lake import PARTITION, ROW
from kedge.people.holdout import BLOCK_ROWS
from kedge.spec import Declaration


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows whose outcome is known.

    Attributes:
        frame: released columns with `_partition` and `_row`.
        declaration: says which column is the target and which the subject.
    """

    frame: pl.DataFrame
    declaration: Declaration

    @cached_property
    def y(self) -> Bools | Floats:
        """(n,) outcomes: whether it is the positive class, or the number."""
        return outcomes(self.frame, self.declaration)

    @cached_property
    def exposure(self) -> Floats | None:
        """(n,) exposures of counts; None without such a column."""
        return exposures(self.frame, self.declaration)

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """(n,) number of what the bootstrap draws: the rows of equal features if they are held out together, else the
        row's person, or its block of rows; 0-based without gaps."""
        if self.declaration.evaluation.by == "features":
            return _dense(self.frame.select(self.declaration.features))
        if self.declaration.subject is not None:
            return self.person
        return _dense(self.frame.select(PARTITION, pl.col(ROW) // BLOCK_ROWS))

    @cached_property
    def person(self) -> NDArray[np.int64]:
        """(n,) number of each row's person, 0-based without gaps; without a subject every row is a person."""
        subject = self.declaration.subject
        return np.arange(len(self.frame)) if subject is None else _dense(self.frame.select(subject))

    @property
    def people(self) -> int:
        """How many people there are."""
        return int(self.person.max()) + 1 if len(self.person) else 0

    def on(self, nights: Sequence[str]) -> "HeldOut":
        """The rows of these nights."""
        return HeldOut(self.frame.filter(pl.col(PARTITION).is_in(list(nights))), self.declaration)

    def counts(self) -> dict[str, Count]:
        """Night -> rows and positives (of counts: rows with at least one)."""
        by_night = self.frame.select(PARTITION, y=self.y > 0).group_by(PARTITION)
        counted = by_night.agg(rows=pl.len(), positives=pl.col("y").sum())
        return {night: Count(rows, positives) for night, rows, positives in counted.iter_rows()}


def known(declaration: Declaration) -> pl.Expr:
    """Whether a row has an outcome."""
    target = pl.col(declaration.target)
    return target.is_finite().fill_null(False) if declaration.task == "regression" else target.is_not_null()


def outcomes(frame: pl.DataFrame, declaration: Declaration) -> Bools | Floats:
    """(n,) whether the target is the positive class, or the target as float64."""
    if declaration.task != "binary":
        return frame[declaration.target].cast(pl.Float64).to_numpy()
    return (frame[declaration.target].cast(pl.String) == declaration.positive).to_numpy()


def exposures(frame: pl.DataFrame, declaration: Declaration) -> Floats | None:
    """(n,) exposures of counts as float64; None without such a column."""
    return frame[declaration.exposure].cast(pl.Float64).to_numpy() if declaration.exposure else None


def _dense(keys: pl.DataFrame) -> NDArray[np.int64]:
    number = pl.struct(pl.all()).rank("dense").cast(pl.Int64) - 1
    return keys.select(number).to_series().to_numpy()
