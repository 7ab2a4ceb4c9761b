"""A night against its reference: every tested column measured once, and what may be shown of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kedge.drift import column as columns
from kedge.drift import evidently
from kedge.drift.column import Column
from kedge.drift.evidence import evidence
from kedge.drift.noise import noise_bound, noise_level
from kedge.drift.sample import Sample
from kedge.drift.verdict import METHODS, ColumnVerdict, DayVerdict, Measured, day_verdict
from kedge.outcome import FEWEST_PEOPLE

if TYPE_CHECKING:
    from kedge.spec import Declaration

PREDICTION = "(prediction)"
"""No declared column can have this name."""

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Night:
    """A night and what it is compared with.

    Attributes:
        declaration: says which columns are tested and how.
        reference, current: samples of both sides.
        unseen: the current rows that the champion cannot have trained on, comparable with the held-out reference.
        score: the champion's scores of rows.
        seed: decides draws and shuffles.
    """

    declaration: "Declaration"
    reference: Sample
    current: Sample
    unseen: pl.DataFrame
    score: Callable[[pl.DataFrame], Scores]
    seed: int

    @cached_property
    def columns(self) -> dict[str, tuple[Column, Column | None]]:
        """Tested columns and, where values are missing, their missingness: features, then prediction and target.

        The prediction is compared on rows no model trained on; a target that has not arrived yet is left out.
        """
        before, after = self.reference.rows, self.current.rows
        found = {name: self._feature(name, before, after) for name in self.declaration.features}
        scores = [self._scores(frame) for frame in (self.reference.heldout, self.unseen)]
        found[PREDICTION] = columns.numeric(PREDICTION, *scores), None
        target = self.declaration.target
        found[target] = self._target(target, before, after), None
        return found

    @cached_property
    def verdicts(self) -> dict[str, ColumnVerdict]:
        """Verdict per tested column."""
        level = noise_level(max(1, len(self._judged)))
        measured = {name: self._measure(column, level) for name, column in self._judged.items()}
        unknown = {kind: Measured(method=method, value=None, noise=None) for kind, method in METHODS.items()}
        return {
            name: ColumnVerdict(
                values=measured.get(values.name, unknown[values.kind]),
                missing=measured.get(missing.name, unknown["category"]) if missing else None,
            )
            for name, (values, missing) in self.columns.items()
        }

    @property
    def features(self) -> dict[str, ColumnVerdict]:
        """Verdicts of the feature columns."""
        return {name: self.verdicts[name] for name in self.declaration.features}

    @cached_property
    def day(self) -> DayVerdict:
        """The night's verdict."""
        prediction, target = self.verdicts[PREDICTION], self.verdicts[self.declaration.target]
        return day_verdict(self.features, prediction, target, share=self.declaration.drift.share)

    def html(self) -> bytes | None:
        """Evidently's report of the judged columns, coarsened; None when there are none."""
        shown = [evidence(column, seed=self.seed) for column in self._judged.values()]
        kept = [column for column in shown if column is not None]
        return evidently.html(kept, self._measured) if kept else None

    @cached_property
    def _judged(self) -> dict[str, Column]:
        """Columns and missingness with enough people on both sides, by the name they are drawn under."""
        every: Iterable[Column | None] = (column for pair in self.columns.values() for column in pair)
        return {column.name: column for column in every if column and column.num_people >= FEWEST_PEOPLE}

    @cached_property
    def _measured(self) -> Mapping[str, Measured]:
        found: dict[str, Measured] = {}
        for values, missing in self.columns.values():
            verdict = self.verdicts[values.name]
            found[values.name] = verdict.values
            if missing is not None and verdict.missing is not None:
                found[missing.name] = verdict.missing
        return found

    def _measure(self, column: Column, level: float) -> Measured:
        noise = noise_bound(column, level=level, seed=self.seed)
        return Measured(method=METHODS[column.kind], value=evidently.distance(column), noise=noise)

    def _target(self, name: str, before: pl.DataFrame, after: pl.DataFrame) -> Column:
        if self.declaration.task == "binary":
            return columns.category(name, before, after, missing=False)
        return columns.numeric(name, before, after)

    def _feature(self, name: str, before: pl.DataFrame, after: pl.DataFrame) -> tuple[Column, Column | None]:
        if self.declaration.feature_kind(name) == "numeric":
            return columns.numeric(name, before, after), columns.missingness(name, before, after)
        return columns.category(name, before, after), None

    def _scores(self, rows: pl.DataFrame) -> pl.DataFrame:
        scores = self.score(rows) if rows.height else np.empty(0)
        return rows.select("_person", pl.Series(PREDICTION, scores, dtype=pl.Float64))
