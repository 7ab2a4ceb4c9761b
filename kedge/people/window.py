"""The rows of some nights, each with the part it belongs to."""

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from kedge.lake import PARTITION, ROW, stack_rows
from kedge.people.holdout import PART, PARTS, split
from kedge.spec import Declaration
from kedge.workspace import Workspace


def load_rows(
    ws: Workspace,
    declaration: Declaration,
    nights: Mapping[str, str],
    parts: Collection[str] = PARTS,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Released rows of these nights, in the order of nights and positions.

    Args:
        nights: partition -> version id of dataset `anonymized`.
        parts: which of train, validation, heldout.
        columns: released columns to read; default all.

    Returns:
        `_row`, the columns, `_partition` and `_part`.

    Raises:
        Terminal: a version is no longer stored, or there is no night.
    """
    dataset = ws.dataset(declaration.name, "anonymized")
    versions = [dataset.version(night, nights[night]) for night in sorted(nights)]
    subject = [declaration.subject] if declaration.subject else []
    wanted = None if columns is None else list(dict.fromkeys([ROW, *subject, *columns]))
    frame = stack_rows(versions, wanted).collect()
    part = split(frame, declaration, ws.secrets(declaration.name).holdout)
    chosen = frame.with_columns(part).filter(pl.col(PART).is_in(list(parts)))
    return chosen if wanted is None else chosen.select(ROW, *columns or (), PARTITION, PART)
