"""The rows of some nights, each with the part it belongs to."""

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from kedge.lake import PARTITION, ROW, Version, check_same_rows, stack_rows
from kedge.people.holdout import PART, PARTS, decisive, split
from kedge.spec import Declaration
from kedge.workspace import Workspace


def load_rows(
    ws: Workspace,
    declaration: Declaration,
    nights: Mapping[str, str],
    parts: Collection[str] = PARTS,
    columns: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Released rows of these nights, in the order of nights and positions.

    Args:
        nights: partition -> version id of dataset `anonymized`.
        parts: which of train, validation, heldout.
        columns: released columns to read, and those from labels; default all.
        labels: partition -> version id of dataset `labels`, of the same rows; a night without misses the outcomes.

    Returns:
        `_row`, the columns, `_partition` and `_part`.

    Raises:
        Terminal: a version is no longer stored, labels are those of another delivery, or there is no night.
    """
    dataset = ws.dataset(declaration.name, "anonymized")
    versions = [dataset.version(night, nights[night]) for night in sorted(nights)]
    deciding = [name for name in decisive(declaration) if name != PARTITION]
    late = [name for name in declaration.late if columns is None or name in columns]
    now = None if columns is None else [name for name in columns if name not in late]
    wanted = None if now is None else list(dict.fromkeys([ROW, *deciding, *now]))
    frame = stack_rows(versions, wanted).collect()
    if late:
        frame = _labelled(ws, declaration, frame, versions, late, labels or {})
    part = split(frame, declaration, ws.secrets(declaration.name).holdout)
    chosen = frame.with_columns(part).filter(pl.col(PART).is_in(list(parts)))
    return chosen if wanted is None else chosen.select(ROW, *columns or (), PARTITION, PART)


def _labelled(
    ws: Workspace,
    declaration: Declaration,
    frame: pl.DataFrame,
    nights: Sequence[Version],
    late: Sequence[str],
    labels: Mapping[str, str],
) -> pl.DataFrame:
    """The rows with their outcomes beside them, missing where there are none."""
    dataset, stored = ws.dataset(declaration.name, "labels"), []
    for night in nights:
        if night.partition in labels:
            stored.append(dataset.version(night.partition, labels[night.partition]))
            check_same_rows(night, stored[-1])
    there = [name for name in late if declaration.columns[name].treatment != "drop"]
    if not stored:
        return frame.with_columns(pl.lit(None).alias(name) for name in there)
    outcomes = stack_rows(stored, [ROW, *there]).collect()
    return frame.join(outcomes, on=[PARTITION, ROW], how="left", maintain_order="left")
