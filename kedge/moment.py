"""Datetimes as they are written: `2026-01-31 23:59:59.5`, a `T` in the place of the blank, without seconds, and with an
offset from UTC (`Z`, `+02:00`, `-0500`) or without one. What is written otherwise becomes null, never an error."""

import polars as pl

_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M")


def local(cell: pl.Expr) -> pl.Expr:
    """A datetime that is written without an offset, as it is written; null for one with an offset."""
    spaced = cell.str.replace("T", " ", literal=True)
    return pl.coalesce(spaced.str.to_datetime(form, time_unit="us", strict=False) for form in _FORMATS)


def moment(cell: pl.Expr) -> pl.Expr:
    """A datetime that is written with an offset, in UTC (time zone `UTC`); null for one without."""
    spaced = cell.str.replace("T", " ", literal=True).str.replace(r"Z$", "+00:00")
    return pl.coalesce(
        spaced.str.to_datetime(f"{form}%z", time_unit="us", time_zone="UTC", strict=False) for form in _FORMATS
    )
