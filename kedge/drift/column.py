"""One column of reference and current, as arrays that distances, noise and evidence are computed on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

MISSING, OTHER, PRESENT = "(missing)", "(other)", "(present)"
MOST_CATEGORIES = 1_000
"""Rarer categories count together: a distance over more cells than rows says nothing."""

SECONDS_PER_YEAR = 365.2425 * 24 * 3600


@dataclass(frozen=True)
class Side:
    """The rows of one side that have a value.

    Attributes:
        values: numbers, or codes of categories; shape (rows,).
        people: code of the person behind each row, from 0 without gaps; shape (rows,).
    """

    values: NDArray[np.float64] | NDArray[np.int64]
    people: NDArray[np.int64]

    @cached_property
    def num_people(self) -> int:
        return int(np.unique(self.people).size)

    @cached_property
    def effective_rows(self) -> float:
        """Rows that count as independent when one person's rows are alike (Kish 1965: n^2 / sum of squared weights)."""
        rows = np.bincount(self.people).astype(np.float64)
        return float(rows.sum() ** 2 / np.square(rows).sum()) if rows.size else 0.0


@dataclass(frozen=True)
class Column:
    """Reference and current of one tested column.

    Attributes:
        name: the column's name; unique among the tested ones.
        kind: how it is compared: `numeric` by Wasserstein, `category` by Jensen-Shannon distance.
        labels: text of each category code; empty for numbers.
    """

    name: str
    kind: Literal["numeric", "category"]
    reference: Side
    current: Side
    labels: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.reference, self.current

    @property
    def num_people(self) -> int:
        """Distinct people on the smaller side."""
        return min(side.num_people for side in self.sides)


def numeric(name: str, reference: pl.DataFrame, current: pl.DataFrame) -> Column:
    """Numbers and dates (as years) of the rows that have one.

    Args:
        name: column of both frames; `_person` codes stand beside it.
    """
    return Column(name, "numeric", _numbers(reference, name), _numbers(current, name))


def category(
    name: str, reference: pl.DataFrame, current: pl.DataFrame, *, missing: bool = True, title: str | None = None
) -> Column:
    """Categories as codes; a missing one is a category of its own, or left out when `missing` is False."""
    before, after = _texts(reference, name, missing), _texts(current, name, missing)
    counts = pl.concat([before[name], after[name]]).value_counts()
    labels = _labels(counts.sort(["count", name], descending=[True, False])[name].to_list())
    return Column(title or name, "category", _codes(before, name, labels), _codes(after, name, labels), labels)


def missingness(name: str, reference: pl.DataFrame, current: pl.DataFrame) -> Column | None:
    """Present or missing as two categories; None when nothing is missing on either side."""
    if not reference[name].null_count() + current[name].null_count():
        return None
    flags = [
        frame.select(
            "_person", pl.when(pl.col(name).is_null()).then(pl.lit(MISSING)).otherwise(pl.lit(PRESENT)).alias(name)
        )
        for frame in (reference, current)
    ]
    return category(name, *flags, title=f"{name} {MISSING}")


def people(frame: pl.DataFrame, subject: str | None) -> pl.Series:
    """Code of each row's person, from 0; without a subject every row is a person of its own."""
    if subject is None:
        return pl.int_range(frame.height, eager=True).alias("_person")
    # Rows without a subject count as one person: never more people than there are.
    return frame[subject].rank("dense").fill_null(0).cast(pl.Int64).alias("_person")


def _numbers(frame: pl.DataFrame, name: str) -> Side:
    values = frame[name]
    if values.dtype.is_temporal():
        seconds = values.cast(pl.Datetime("us")).dt.epoch("us") / 1e6
        values = (seconds / SECONDS_PER_YEAR + 1970.0).alias(name)
    kept = frame.select("_person", values.cast(pl.Float64)).filter(pl.col(name).is_finite())
    return Side(kept[name].to_numpy(), kept["_person"].to_numpy())


def _texts(frame: pl.DataFrame, name: str, missing: bool) -> pl.DataFrame:
    texts = frame.select("_person", pl.col(name).cast(pl.String))
    return texts.with_columns(pl.col(name).fill_null(MISSING)) if missing else texts.drop_nulls(name)


def _labels(by_count: Sequence[str]) -> tuple[str, ...]:
    """The categories that are told apart, most frequent first; `(other)` last, when there is a rest."""
    if len(by_count) <= MOST_CATEGORIES:
        return tuple(by_count)
    return (*(label for label in by_count[: MOST_CATEGORIES - 1] if label != OTHER), OTHER)


def _codes(side: pl.DataFrame, name: str, labels: Sequence[str]) -> Side:
    codes = side[name].replace_strict(list(labels), range(len(labels)), default=len(labels) - 1, return_dtype=pl.Int64)
    return Side(codes.to_numpy(), side["_person"].to_numpy())
