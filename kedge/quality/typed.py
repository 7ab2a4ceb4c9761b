"""Text as received -> values of the declared types. A cell that is no value of its type becomes null, never an error:
cast errors quote the cell."""

from collections.abc import Mapping
from unicodedata import normalize

import polars as pl

from kedge.moment import local, moment
from kedge.quality.grammar import MAX_CHARS, TRUE, TYPES, rust
from kedge.spec import Column
from kedge.unicode import normal

DTYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "category": pl.String(),
    "bool": pl.Boolean(),
    "integer": pl.Int64(),
    "float": pl.Float64(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
}
VALUE = ".value"  # no declared name can hold a dot


def is_text(column: Column) -> bool:
    """Whether the column's values are texts."""
    return column.type in ("string", "category")


def text(name: str, column: Column) -> pl.Expr:
    """The cell as text; strings in Unicode's composed form (NFC), so that equal texts are equal bytes; aliases are
    replaced by what they mean."""
    cell = normal(pl.col(name), "NFC") if is_text(column) else pl.col(name)
    meant = {normalize("NFC", written): value for written, value in column.aliases.items()}
    return cell.replace(meant) if meant else cell


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
    """A datetime with an offset is moved to UTC; one without is local and stays as it is."""
    return pl.coalesce(local(cell), moment(cell).dt.replace_time_zone(None))


def prepared(frame: pl.LazyFrame, columns: Mapping[str, Column]) -> pl.LazyFrame:
    """What rules look at: every column as text, and beside it its value (`<name>.value`) unless it is a text itself."""
    values = [value(name, column).alias(f"{name}{VALUE}") for name, column in columns.items() if not is_text(column)]
    return frame.with_columns(*(text(name, column).alias(name) for name, column in columns.items()), *values)


def prepared_value(name: str, column: Column) -> pl.Expr:
    """The value of a column in a prepared frame."""
    return pl.col(name if is_text(column) else f"{name}{VALUE}")


def is_broken(name: str, column: Column) -> pl.Expr:
    """Whether a cell of a prepared frame is there but no value of its type."""
    cell = pl.col(name)
    wrong = ~cell.str.contains(rust(TYPES[column.type]))
    wrong |= cell.str.len_chars() > MAX_CHARS if is_text(column) else prepared_value(name, column).is_null()
    return (cell.is_not_null() & wrong).fill_null(False)


def typed(frame: pl.LazyFrame, columns: Mapping[str, Column]) -> pl.LazyFrame:
    """The declared columns with their types, in declared order, `_row` last."""
    return frame.select(*(value(name, column).alias(name) for name, column in columns.items()), pl.col("_row"))
