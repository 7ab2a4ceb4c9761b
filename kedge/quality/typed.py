"""Text as received -> values of the declared types. A cell that is no value of its type becomes null, never an error:
cast errors quote the cell."""

from collections.abc import Mapping

import polars as pl

from kedge.quality.grammar import MAX_CHARS, TRUE, TYPES, rust
from kedge.spec import Column

DTYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "category": pl.String(),
    "bool": pl.Boolean(),
    "integer": pl.Int64(),
    "float": pl.Float64(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}
_TEXTS = frozenset({"string", "category"})


def text(name: str, column: Column) -> pl.Expr:
    """The cell as text; strings in Unicode's composed form (NFC), so that equal texts are equal bytes."""
    return pl.col(name).str.normalize("NFC") if column.type in _TEXTS else pl.col(name)


def value(name: str, column: Column) -> pl.Expr:
    """The cell as a value of its type; null where it is missing or no such value. May be inexact about what a type
    accepts: `is_broken` is the judge."""
    cell = text(name, column)
    match column.type:
        case "bool":
            return cell.str.to_lowercase().is_in(TRUE)
        case "integer":
            return cell.cast(pl.Int64, strict=False)
        case "float":
            number = cell.cast(pl.Float64, strict=False)
            return pl.when(number.is_finite()).then(number)
        case "date":
            return cell.str.to_date("%Y-%m-%d", strict=False)
        case "datetime":
            return _datetime(cell)
    return cell


def _datetime(cell: pl.Expr) -> pl.Expr:
    """Seconds and their fraction may be left out."""
    spaced = cell.str.replace("T", " ", literal=True)
    formats = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")
    return pl.coalesce(spaced.str.to_datetime(form, time_unit="us", strict=False) for form in formats)


def is_broken(name: str, column: Column) -> pl.Expr:
    """Whether a cell is there but no value of its type."""
    cell = text(name, column)
    wrong = ~cell.str.contains(rust(TYPES[column.type])) | value(name, column).is_null()
    if column.type in _TEXTS:
        wrong |= cell.str.len_chars() > MAX_CHARS
    return (cell.is_not_null() & wrong).fill_null(False)


def typed(frame: pl.LazyFrame, columns: Mapping[str, Column]) -> pl.LazyFrame:
    """The declared columns with their types, in declared order, `_row` last."""
    return frame.select(*(value(name, column).alias(name) for name, column in columns.items()), pl.col("_row"))
