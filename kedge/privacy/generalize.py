"""Generalisation: bins and prefixes, so that a value stands for a range of people."""

import polars as pl

from kedge.privacy.plan import PlannedColumn


def generalize(column: PlannedColumn) -> pl.Expr:
    """The column as bins or prefix; the type stays: a bin is named by its start (1984-05-03 in 10y: 1980-01-01)."""
    values = pl.col(column.name)
    if column.treatment == "prefix":
        assert column.length is not None
        # Composed first, or a prefix would count an accent as a character of its own.
        return values.cast(pl.String).str.normalize("NFC").str.strip_chars().str.head(column.length)
    assert column.width is not None
    if column.unit is not None:
        return _calendar(values, int(column.width), column.unit, column.type)
    if column.type == "integer":
        width = int(column.width)
        return values // width * width
    # Rounded before the floor: 0.3 / 0.1 is a little below 3. Adding 0 turns -0.0 into 0.0.
    return (values / column.width).round(9).floor() * column.width + 0.0


def _calendar(values: pl.Expr, width: int, unit: str, kind: str) -> pl.Expr:
    """Start of the bin: whole multiples of `width` years or months since year 0, of days since 1970-01-01."""
    if unit == "d":
        days = values.cast(pl.Date).to_physical()
        return _as((days // width * width).cast(pl.Int32).cast(pl.Date), kind)
    months = width * 12 if unit == "y" else width
    start = (values.dt.year().cast(pl.Int32) * 12 + values.dt.month() - 1) // months * months
    # Year 0 does not exist for a reader of dates: the bin that holds year 1 begins there.
    start = pl.max_horizontal(start, pl.when(values.is_not_null()).then(12))
    return _as(pl.date(start // 12, start % 12 + 1, 1), kind)


def _as(days: pl.Expr, kind: str) -> pl.Expr:
    return days.cast(pl.Datetime("us")) if kind == "datetime" else days
