"""Bounded seeded samples of nights: what is compared, never more than so many rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kedge.drift import column as columns
from kedge.lake import PARTITION, RAW, ROW, Version, check_same_rows, raw_ancestor
from kedge.people import HELDOUT, split

if TYPE_CHECKING:
    from kedge.spec import Declaration

MOST_ROWS = 10_000
"""Rows of a side that are compared."""

_DRAWN_ROWS = 4 * MOST_ROWS
"""Rows that are read: enough for the held-out fifth among them to be a sample of its own."""


UNSEEN = "_heldout"
"""Whether a row belongs to people (or blocks) that no model has trained on."""


@dataclass(frozen=True)
class Sample:
    """Rows of some nights in random order.

    Attributes:
        frame: `_partition`, `_raw`, `_row`, the subject, exposure, features and target of at most 40,000 rows;
            `_person`, a code of the row's person; `_heldout`.
    """

    frame: pl.DataFrame

    @cached_property
    def rows(self) -> pl.DataFrame:
        """What features and target are judged on."""
        return self.frame.head(MOST_ROWS)

    @cached_property
    def heldout(self) -> pl.DataFrame:
        """Rows that no model has trained on."""
        return self.frame.filter(UNSEEN).head(MOST_ROWS)


def draw(
    versions: Sequence[Version],
    declaration: "Declaration",
    *,
    seed: int,
    labels: Mapping[str, Version] = MappingProxyType({}),
) -> Sample:
    """A simple random sample of the rows of several nights, the same for the same versions and seed.

    Args:
        labels: night -> version of dataset `labels`, where outcomes arrive later; the rows of other nights miss them.
    """
    counts = [version.manifest.rows for version in versions]
    random = np.random.default_rng(seed)
    chosen = np.sort(random.permutation(sum(counts))[:_DRAWN_ROWS])
    starts = np.cumsum([0, *counts])
    by_night = np.split(chosen, np.searchsorted(chosen, starts[1:-1]))
    names = [name for name in _columns(declaration) if name not in declaration.late]
    frames = [_pick(v, at - start, names) for v, at, start in zip(versions, by_night, starts[:-1], strict=True)]
    if declaration.target in declaration.late:
        pairs = zip(versions, frames, strict=True)
        frames = [_labelled(v, frame, declaration.target, labels.get(v.partition)) for v, frame in pairs]
    frame = pl.concat(frames)
    frame = frame[random.permutation(frame.height)]
    part = split(frame, declaration, versions[0].dataset.secrets.holdout)
    return Sample(frame.with_columns(columns.people(frame, declaration.subject), (part == HELDOUT).alias(UNSEEN)))


def _columns(declaration: "Declaration") -> list[str]:
    roles = [name for name in (declaration.subject, declaration.exposure) if name]
    return list(dict.fromkeys([*roles, *declaration.features, declaration.target]))


def _pick(version: Version, positions: NDArray[np.int64], names: Sequence[str]) -> pl.DataFrame:
    """The rows at these positions of a night, read lazily."""
    rows = version.scan().select(ROW, *names)
    if positions.size < version.manifest.rows:
        wanted = pl.Series(positions, dtype=pl.UInt32)
        rows = rows.with_row_index("_position").filter(pl.col("_position").is_in(wanted.implode())).drop("_position")
    place = {PARTITION: version.partition, RAW: raw_ancestor(version)}
    return rows.with_columns(pl.lit(text).alias(name) for name, text in place.items()).collect()


def _labelled(night: Version, rows: pl.DataFrame, target: str, labels: Version | None) -> pl.DataFrame:
    """The rows with their outcome beside them, missing where there is none."""
    if labels is None:
        return rows.with_columns(pl.lit(None).alias(target))
    check_same_rows(night, labels)
    return rows.join(labels.scan().select(ROW, target).collect(), on=ROW, how="left", maintain_order="left")
