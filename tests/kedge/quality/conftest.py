"""A declaration with every kind of rule, and deliveries that keep or break it."""

import copy
from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl
import pytest

from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.workspace import Workspace

COLUMNS: dict[str, Any] = {
    "id": {"type": "string", "role": "subject", "privacy": "token", "unique": True},
    "email": {"type": "string", "privacy": "token", "format": "email"},
    "phone": {"type": "string", "privacy": "drop", "format": "phone", "nulls": 0.5},
    "born": {"type": "date", "privacy": {"bins": "10y"}, "min": "1920-01-01", "max": "2010-12-31"},
    "seen": {"type": "datetime", "min": "2020-01-01", "max": "2026-12-31", "nulls": "100%"},
    "balance": {"type": "float", "min": 0, "max": 250000, "nulls": "5%"},
    "months": {"type": "integer", "min": 0, "max": 720, "unique": False},
    "number": {"type": "integer", "unique": True, "nulls": 1},
    "plan": {"type": "category", "values": ["basic", "plus"]},
    "left": {"type": "bool", "role": "target"},
}
GOOD: dict[str, str] = {
    "email": "a.b@example.org",
    "phone": "+1 303 555 0147",
    "born": "1980-02-29",
    "seen": "2026-12-31 23:59:59",
    "balance": "12.50",
    "months": "720",
    "plan": "basic",
    "left": "true",
}


class Declare(Protocol):
    def __call__(self, others: Mapping[str, Any] = ..., **sections: Any) -> Declaration: ...


class Deliver(Protocol):
    def __call__(self, num_rows: int, cells: Mapping[tuple[str, int], str | None] = ...) -> pl.DataFrame: ...


@pytest.fixture
def columns() -> dict[str, Any]:
    """All of them; modules that run many nights override it, for each rule costs Great Expectations 20 ms."""
    return copy.deepcopy(COLUMNS)


@pytest.fixture
def declare(columns: dict[str, Any]) -> Declare:
    """A declaration of these columns, by default of those of the fixture `columns`."""

    def build(others: Mapping[str, Any] = columns, **sections: Any) -> Declaration:
        attributes = {"partitions": {"start": "2026-01-01"}, "source": {"files": "inbox/{date}.csv"}, **sections}
        return Declaration.named("shop", attributes | {"columns": copy.deepcopy(dict(others))})

    return build


@pytest.fixture
def deliver(columns: dict[str, Any]) -> Deliver:
    """Rows that keep the contract, but for the given cells (column, row)."""

    def build(num_rows: int, cells: Mapping[tuple[str, int], str | None] = {}) -> pl.DataFrame:
        table: dict[str, list[str | None]] = {name: [GOOD.get(name)] * num_rows for name in COLUMNS}
        table["id"] = [f"C{n}" for n in range(num_rows)]
        table["number"] = [str(n) for n in range(num_rows)]
        for (name, row), cell in cells.items():
            table[name][row] = cell
        frame = pl.DataFrame(table, schema=dict.fromkeys(COLUMNS, pl.String)).select(list(columns))
        return frame.with_columns(pl.int_range(num_rows, dtype=pl.UInt64).alias("_row"))

    return build


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings)


class Arrive(Protocol):
    def __call__(self, frame: pl.DataFrame, declaration: Declaration, partition: str = ...) -> None: ...


@pytest.fixture
def arrive(ws: Workspace) -> Arrive:
    """Put a frame into the inbox as CSV and take it in."""

    def into_raw(frame: pl.DataFrame, declaration: Declaration, partition: str = "2026-01-01") -> None:
        inbox = ws.settings.data / "inbox"
        inbox.mkdir(parents=True, exist_ok=True)
        frame.drop("_row").write_csv(inbox / f"{partition}.csv")
        take(ws, declaration, partition)

    return into_raw
