"""Rows that stay the same rows: `_row` is a position in one named raw version and joins what descends from it."""

from collections.abc import Sequence
from typing import Literal

import polars as pl

from kedge.errors import Terminal
from kedge.lake.version import Version

ROW = "_row"
"""UInt64 position of a row in its raw version; never renumbered, never leaves the lake."""

PARTITION = "_partition"
"""Beside `_row` where several partitions are stacked."""

RAW = "_raw"
"""Beside `_partition` where rows may have to be looked up again: id of the raw version whose positions `_row` holds."""


def raw_ancestor(version: Version) -> str:
    """Id of the raw version whose positions `_row` holds.

    Raises:
        Terminal: the version carries no rows of a raw version.
    """
    raw = version.manifest.notes.get("raw")
    if isinstance(raw, str):
        return raw
    need, remedy = "notes that name its raw version", "Only datasets that carry `_row` can be joined."
    raise Terminal(version.place, need=need, got="none", remedy=remedy)


def join_rows(left: Version, right: Version, how: Literal["inner", "left", "semi", "anti"] = "inner") -> pl.LazyFrame:
    """Join two versions of one partition on `_row`; columns of the right that the left has get the suffix `_right`.

    Raises:
        Terminal: they do not descend from the same raw version, so that equal positions mean different rows.
    """
    check_same_rows(left, right)
    return left.scan().join(right.scan(), on=ROW, how=how, maintain_order="left")


def check_same_rows(left: Version, right: Version) -> None:
    """Make sure that equal positions mean the same row.

    Raises:
        Terminal: the two do not descend from the same raw version.
    """
    ancestors = {(v.dataset.pipeline, v.partition, raw_ancestor(v)) for v in (left, right)}
    if len(ancestors) == 1:
        return
    raise Terminal(
        f"{left.dataset.place} and {right.dataset.place}",
        need="one raw version that both descend from",
        got=" and ".join(sorted("/".join(ancestor) for ancestor in ancestors)),
        remedy="Run the stage of the older one again: the delivery has changed since.",
    )


def stack_rows(versions: Sequence[Version], columns: Sequence[str] | None = None) -> pl.LazyFrame:
    """Rows of several partitions in the order given, with `_partition` beside `_row`.

    Raises:
        Terminal: there is no version, or two are of the same partition.
    """
    names = [version.partition for version in versions]
    if not names or len(set(names)) < len(names):
        need, got = "one version for each of some partitions", f"{len(names)} of {len(set(names))} partitions"
        raise Terminal("versions", need=need, got=got, remedy="Pass the current version of each partition.")
    frames = []
    for version in versions:
        frame = version.scan() if columns is None else version.scan().select(list(columns))
        frames.append(frame.with_columns(pl.lit(version.partition).alias(PARTITION)))
    return pl.concat(frames, how="vertical")
