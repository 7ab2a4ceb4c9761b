"""Everybody of a night as a model's plan shows them, in batches of bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from kedge.lake import ROW, Secrets, Version, join_rows
from kedge.privacy.plan import Plan
from kedge.privacy.release import release
from kedge.privacy.transform import transform

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Everybody:
    """The validated rows of a night.

    Attributes:
        validated, anonymized: current versions of one raw ancestor.
        plan: the model's.
        today: whether that plan is the one `anonymized` was made by, so that its rows can be read as they are.
    """

    validated: Version
    anonymized: Version
    plan: Plan
    secrets: Secrets

    @property
    def today(self) -> bool:
        return bool(self.anonymized.manifest.notes["plan_id"] == self.plan.id)

    def batches(self, features: Sequence[str]) -> Iterator[tuple[pl.DataFrame, bool]]:
        """Rows with `_row` and the features, and whether they are released; dropped rows miss all quasi-identifiers."""
        columns = [ROW, *features]
        if self.today:
            yield from ((rows, True) for rows in even(self.anonymized.batches(BATCH_ROWS, columns), BATCH_ROWS))
            yield from ((rows.select(columns), False) for rows in self._dropped())
            return
        released, dropped = release(self.validated.scan(), self.plan, self.secrets)
        yield from ((rows, True) for rows in released.select(columns).iter_slices(BATCH_ROWS))
        yield from ((rows, False) for rows in dropped.select(columns).iter_slices(BATCH_ROWS))

    def _dropped(self) -> Iterator[pl.DataFrame]:
        """A small share of the night, bounded by the declaration's budget."""
        rows = transform(join_rows(self.validated, self.anonymized, how="anti"), self.plan, self.secrets)
        schema = rows.collect_schema()
        missing = [pl.lit(None, dtype=schema[name]).alias(name) for name in self.plan.quasi]
        yield from rows.with_columns(missing).collect().iter_slices(BATCH_ROWS)


def even(batches: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in batches of exactly `rows`, the last one shorter.

    How a stream is cut depends on threads, and the last bit of a score on its place in the batch.
    """
    waiting: list[pl.DataFrame] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= rows:
            *full, rest = pl.concat(waiting).iter_slices(rows)
            yield from full
            waiting = [rest]
    if waiting:
        yield pl.concat(waiting)
