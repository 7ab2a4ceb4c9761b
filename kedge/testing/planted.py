"""Rows that can be traced: in every column values that occur nowhere else in the world.

A run over such rows, good ones and broken ones, followed by `search` over everything it left behind, shows whether
a personal value left the encrypted lake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl

from kedge.spec import Column, Declaration
from kedge.testing.leaks import Hit, search

__all__ = ["Hit", "Planted", "plant", "search"]

_COMMON = ("alpha", "beta", "gamma")  # what most rows of an open category hold, so that it is a category


@dataclass(frozen=True)
class Planted:
    """A delivery and what to look for.

    Attributes:
        frame: texts, as a source would deliver them; the first `broken` rows fail the contract.
        values: by column, what occurs there and nowhere else: text that survives every escaping.
    """

    frame: pl.DataFrame
    values: dict[str, list[str]]

    @property
    def all_values(self) -> list[str]:
        """The values of all columns, for `search`."""
        return [value for values in self.values.values() for value in values]

    def column_of(self, index: int) -> str:
        """Column of `all_values[index]`: what a report may say about a hit."""
        return [column for column, values in self.values.items() for _ in values][index]

    def write(self, path: Path, declaration: Declaration) -> None:
        """Drop the delivery as a file, as the declaration's source wants it."""
        source = declaration.source
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.frame.write_csv(include_header=source.header, separator=source.delimiter)
        path.write_bytes(text.encode(source.encoding))


def plant(declaration: Declaration, rows: int, *, broken: int = 0, seed: int = 0) -> Planted:
    """Make `rows` rows that meet the declaration's contract, but for the first `broken`.

    Columns that cannot hold something unique (listed values, bool, narrow ranges) hold good values and plant nothing
    in good rows. A broken row holds a planted text in every column that is no free text. The target depends on the
    first number or listed category, so that a model has something to learn.

    Args:
        seed: another one gives other values; nights of one test need different seeds.
    """
    if not 0 <= broken <= rows:
        raise ValueError(f"broken: needs 0 to {rows}; got {broken}. Plant more rows.")
    signal = np.random.default_rng(seed).normal(size=rows)
    texts: dict[str, list[str]] = {}
    values: dict[str, list[str]] = {}
    for name, column in declaration.columns.items():
        grow = _grower(name, column, name == declaration.target, signal, seed)
        cells = [grow(row) for row in range(rows)]
        for row in range(broken if _can_break(column) else 0):
            bad = _core(f"broken {name}", seed, row)
            cells[row] = bad, bad
        texts[name] = [text for text, _ in cells]
        values[name] = [core for _, core in cells if core is not None]
    return Planted(pl.DataFrame(texts), values)


Cell = tuple[str, str | None]  # text, and the part of it that is unique
Grow = Callable[[int], Cell]  # the cell of a row


def _core(name: str, seed: int, row: int) -> str:
    """14 letters and digits that need no escaping anywhere."""
    return "zq" + blake2b(f"{name} {seed} {row}".encode(), digest_size=6).hexdigest()


def _digits(name: str, seed: int, row: int, length: int) -> str:
    """Unique digits; the last is no 0, so that a number that ends in them is written out in full."""
    number = int.from_bytes(blake2b(f"{name} {seed} {row}".encode(), digest_size=12).digest())
    return f"{number % 10 ** (length - 1):0{length - 1}d}{1 + row % 9}"


def _can_break(column: Column) -> bool:
    """Whether some text fails the column's rules."""
    return column.type not in ("string", "category") or column.values is not None or column.format is not None


def _grower(name: str, column: Column, is_target: bool, signal: np.ndarray, seed: int) -> Grow:
    """What makes the column's cells.

    Args:
        signal: one standard normal number per row, which features show and the target depends on.
    """
    rng = np.random.default_rng((seed, *name.encode()))
    if is_target:
        return _target(column, rng.random(len(signal)) < 1 / (1 + np.exp(-2 * signal)))
    if column.values is not None:
        values = column.values
        ranks = np.clip((signal + 2) / 4 * len(values), 0, len(values) - 1).astype(int)
        return lambda row: (values[ranks[row]], None)
    if column.type == "bool":
        return lambda row: ("true" if signal[row] > 0 else "false", None)
    if column.type in ("integer", "float"):
        return _number(name, column, 0.05 + 0.9 / (1 + np.exp(-signal)), seed)
    if column.type in ("date", "datetime"):
        return _moment(name, column, rng.permutation(_DAYS), seed)
    return _text(name, column, seed)


def _target(column: Column, positive: np.ndarray) -> Grow:
    no, yes = column.values or ("false", "true")
    return lambda row: (yes if positive[row] else no, None)


def _number(name: str, column: Column, share: np.ndarray, seed: int) -> Grow:
    """A number whose last digits are unique; whole numbers only where twelve digits are allowed."""
    wide = column.type == "integer" and not column.quasi and column.max is None
    span = 4 * (column.privacy.width or 1) if column.quasi and column.privacy else 1e12 if wide else 1000.0
    low = column.min if column.min is not None else (column.max - span if column.max is not None else 0.0)
    high = min(low + span, column.max if column.max is not None else np.inf)
    if column.type == "float" and not (column.quasi and column.privacy is None):

        def decimal(row: int) -> Cell:
            text = f"{low + (high - low) * share[row]:.2f}" + _digits(name, seed, row, 8)
            return text, text

        return decimal

    def whole(row: int) -> Cell:
        text = str(int(low + (high - low) * share[row]))
        return text, text if len(text) >= 11 else None

    return whole


_FIRST, _DAYS = date(1930, 1, 1), 40 * 365


def _moment(name: str, column: Column, order: np.ndarray, seed: int) -> Grow:
    """A day between 1930 and 1969, each once; other days, and no planted ones, where the contract wants them."""
    first, days = _FIRST, _DAYS
    if column.privacy is not None and column.privacy.unit in ("m", "d"):
        days = min(days, 8 * int(column.privacy.width or 1) * {"m": 28, "d": 1}[column.privacy.unit])
    if (column.min and column.min > first) or (column.max and column.max < date(1970, 1, 1)):
        first = column.min or column.max - timedelta(days=365)
        days = min(365, (column.max - first).days + 1) if column.max else 365

    def moment(row: int) -> Cell:
        day = first + timedelta(days=int(order[row % _DAYS]) % days)
        if column.type == "datetime":
            clock = f"{row % 24:02d}:{row % 60:02d}:17.{_digits(name, seed, row, 6)}"
            return f"{day}T{clock}", clock
        return str(day), str(day) if first == _FIRST and days == _DAYS and day.day > 1 else None

    return moment


def _text(name: str, column: Column, seed: int) -> Grow:
    def text(row: int) -> Cell:
        core = _core(name, seed, row)
        if column.format is not None:
            return _formatted(column.format, name, seed, row)
        if column.treatment == "prefix":
            return str(1 + row % 4) * (column.privacy.length or 1 if column.privacy else 1) + core, core
        if column.treatment == "redact":
            return f"Spoke with {core}; will write to {core}@example.org or call", core
        if column.treatment in ("drop", "token") or (row % 10 == 0 and not column.quasi):
            return core, core
        return _COMMON[row % len(_COMMON)], None

    return text


def _formatted(kind: str, name: str, seed: int, row: int) -> Cell:
    core = _core(name, seed, row)
    if kind == "email":
        return f"{core}@example.org", core
    if kind == "ip":
        spread = f"fd{core[2:]}{core[2:]}00000"
        return (address := ":".join(spread[at : at + 4] for at in range(0, 32, 4))), address
    digits = _digits(name, seed, row, {"phone": 12, "iban": 18, "card": 16}[kind])
    return {"phone": "+49 30 ", "iban": "DE00", "card": ""}[kind] + digits, digits
