"""Columns taken from an earlier night: looked up in its validated rows and given as text, as if they were delivered.

So everything downstream, the contract and Great Expectations included, sees an ordinary column.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from kedge.lake import Version
from kedge.quality import typed
from kedge.spec import Declaration
from kedge.spec.lag import Lag

if TYPE_CHECKING:
    from kedge.workspace import Workspace

_KEY = ".on"  # no declared name can hold a dot

Nights = Mapping[int, Version | None]
"""Lag in nights -> the validated version that lies so far back, None where there is none."""


def nights(ws: "Workspace", declaration: Declaration, partition: str) -> Nights:
    """The nights that the partition's lagged columns look back to."""
    dataset = ws.dataset(declaration.name, "validated")
    lags = sorted({lag.lag for lag in _lags(declaration).values()})
    return {lag: dataset.current(str(date.fromisoformat(partition) - timedelta(days=lag))) for lag in lags}


def inputs(nights: Nights) -> dict[str, str]:
    """What they add to the inputs of a version id."""
    return {f"validated_{lag}d_before": "none" if version is None else version.id for lag, version in nights.items()}


def joined(frame: pl.LazyFrame, declaration: Declaration, nights: Nights) -> pl.LazyFrame:
    """The delivery as received with the lagged columns beside it.

    A row without exactly one match on that night misses the value: none, several, or a missing key.

    Args:
        frame: text as received, with `_row`.
    """
    lookups: dict[tuple[int, tuple[str, ...]], list[tuple[str, str]]] = {}
    for name, lag in _lags(declaration).items():
        lookups.setdefault((lag.lag, lag.on), []).append((name, lag.column))
    for (nights_before, on), wanted in lookups.items():
        version = nights[nights_before]
        if version is None:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name, _ in wanted)
        else:
            frame = _looked_up(frame, declaration, version, on, wanted)
    return frame


def _looked_up(
    frame: pl.LazyFrame, declaration: Declaration, version: Version, on: tuple[str, ...], wanted: list[tuple[str, str]]
) -> pl.LazyFrame:
    keys = [f"{name}{_KEY}" for name in on]
    own = [typed.value(name, declaration.columns[name]).alias(key) for name, key in zip(on, keys, strict=True)]
    earlier = version.scan().drop_nulls(on).unique(on, keep="none")
    values = [pl.col(column).cast(pl.String).alias(name) for name, column in wanted]
    there = earlier.select(*(pl.col(name).alias(key) for name, key in zip(on, keys, strict=True)), *values)
    return frame.with_columns(own).join(there, on=keys, how="left", maintain_order="left").drop(keys)


def _lags(declaration: Declaration) -> dict[str, Lag]:
    return {name: column.from_ for name, column in declaration.columns.items() if isinstance(column.from_, Lag)}
