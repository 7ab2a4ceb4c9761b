"""Labels and the rows they belong to: which label is whose, and which cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kedge.lake import ROW

CONTRADICTING, SEVERAL_ROWS = "labels_contradict", "key_means_several_rows"
"""Reasons of the quarantine."""

_NIGHT_ROW, _MATCHES, _ANSWERS = ".row", ".matches", ".answers"  # no declared name can hold a dot


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What became of the labels.

    Attributes:
        rows: `_row` of the night and the outcome columns, ascending; one label per row at most.
        unclear: `_row` of the labels file and `_reasons` (list of text) of the labels that cannot be told.
        contradicting: labels whose key has other outcomes too.
        several_rows: labels whose key means several rows of the night.
        unmatched: labels, none of the above, whose key means no row of the night.
        repeated: labels that say again what another one says.
    """

    rows: pl.DataFrame
    unclear: pl.DataFrame
    contradicting: int
    several_rows: int
    unmatched: int
    repeated: int


def match(labels: pl.DataFrame, night: pl.DataFrame, on: Sequence[str], outcomes: Sequence[str]) -> Matched:
    """Find the row of each label.

    Args:
        labels: (n,) typed rows of the file: the columns `on`, without missing values, the outcomes, and `_row`.
        night: (m,) validated rows: the columns `on`, of the same types, and `_row`; a row that misses one is nobody's.
        on: columns that are equal in a label and its row.
        outcomes: columns whose values are the label.
    """
    there = night.drop_nulls(list(on)).group_by(on).agg(pl.len().alias(_MATCHES), pl.col(ROW).min().alias(_NIGHT_ROW))
    answers = labels.group_by(on).agg(pl.struct(outcomes).n_unique().alias(_ANSWERS))
    found = labels.join(answers, on=on, how="left").join(there, on=on, how="left").sort(ROW)
    contradicting, several = pl.col(_ANSWERS) > 1, (pl.col(_MATCHES) > 1).fill_null(False)
    reasons = pl.concat_list(
        pl.when(contradicting).then(pl.lit(CONTRADICTING)), pl.when(several).then(pl.lit(SEVERAL_ROWS))
    )
    clear = found.filter(~contradicting & ~several)
    mine = clear.filter(pl.col(_NIGHT_ROW).is_not_null())
    rows = mine.unique(_NIGHT_ROW, keep="first").select(pl.col(_NIGHT_ROW).alias(ROW), *outcomes).sort(ROW)
    return Matched(
        rows=rows,
        unclear=found.filter(contradicting | several).select(ROW, reasons.list.drop_nulls().alias("_reasons")),
        contradicting=found.filter(contradicting).height,
        several_rows=found.filter(several).height,
        unmatched=clear.height - mine.height,
        repeated=mine.height - rows.height,
    )
