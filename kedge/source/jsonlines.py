"""JSON lines (jsonlines.org): one flat object per line. Every value becomes the text that stands in the file.

A key that a line leaves out is missing there. Which columns the file has is known when all of it has been read, so it
is read twice.
"""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import polars as pl

from kedge.source import limits
from kedge.source.header import header_names
from kedge.source.reader import Expected
from kedge.source.stream import Hashed, Text
from kedge.spec import column_name

_BATCH_ROWS = 65_536
_TRUTH = {True: "true", False: "false"}
Row = dict[str, Any]


class _TwiceError(ValueError):
    """A key that an object holds twice."""


class JsonLines:
    """Reads JSON lines as columns of text: numbers as written, `true` and `false`, null as missing."""

    def __init__(self, file: BinaryIO, expected: Expected, key: bytes) -> None:
        self._expected = expected
        self._hashed = Hashed(file, key)
        self._text = Text(self._hashed, gzipped=expected.gzipped, encoding=expected.dialect.encoding)
        self._lines = io.BufferedReader(self._text, limits.MAX_HEADER_BYTES)
        self._decode = json.JSONDecoder(
            object_pairs_hook=_once, parse_float=str, parse_int=str, parse_constant=str
        ).decode

    def columns(self) -> tuple[str, ...]:
        """Every key that occurs, in order of its first occurrence."""
        keys: dict[str, None] = {}
        for _, row in self._rows():
            if row.keys() - keys.keys():
                keys |= dict.fromkeys(row)
                if len(keys) > limits.MAX_COLUMNS:
                    break
        if not keys:
            raise self._expected.refused("no line with an object")
        return header_names(self._expected.name, list(keys), self._expected.declared)

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        rows: list[Row] = []
        size = first = 0
        for length, row in self._rows():
            if size + length > limits.MAX_ROW_BYTES or len(rows) == _BATCH_ROWS:
                yield self._frame(rows, columns, first)
                first, rows, size = first + len(rows), [], 0
            rows.append(row)
            size += length
        if rows:
            yield self._frame(rows, columns, first)

    def keyed(self) -> str:
        return self._hashed.keyed()

    def _rows(self) -> Iterator[tuple[int, Row]]:
        """Length of each line that is not blank, and its object."""
        number = 0
        while line := self._line():
            number += 1
            if len(line) > limits.MAX_ROW_BYTES:
                raise self._expected.refused(f"a line {number} longer than {limits.MAX_ROW_BYTES >> 20} MiB")
            if line.strip():
                yield len(line), self._object(line.decode(), number)

    def _line(self) -> bytes:
        try:
            return self._lines.readline(limits.MAX_ROW_BYTES + 1)
        except OSError:
            problem = self._text.problem or "a file that cannot be read to its end"
        raise self._expected.refused(problem)

    def _object(self, line: str, number: int) -> Row:
        """The object of a line; the error of Python's decoder holds the line, so it is replaced."""
        found: Any = None
        try:
            found = self._decode(line)
            problem = "no object in line {}"
        except _TwiceError:
            problem = "a key that is there twice in line {}"
        except (ValueError, RecursionError):
            problem = "no JSON in line {}"
        if not isinstance(found, dict):
            raise self._expected.refused(problem.format(number))
        return found

    def _frame(self, rows: list[Row], columns: Sequence[str], first: int) -> pl.DataFrame:
        keys = {name: key for key in set().union(*rows) if (name := column_name(key)) is not None}
        if not keys.keys() <= set(columns):
            raise self._expected.changed()
        cells = {name: [row.get(keys.get(name, name)) for row in rows] for name in columns}
        for name, column in cells.items():
            kinds = set(map(type, column))
            if bool in kinds:
                cells[name] = [_TRUTH[cell] if isinstance(cell, bool) else cell for cell in column]
            if kinds & {dict, list}:
                at = next(n for n, cell in enumerate(column, first + 1) if isinstance(cell, dict | list))
                raise self._expected.refused(f"a list or an object in column {name}, row {at}")
        try:
            return pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String()))
        except UnicodeError:  # it holds the text
            problem = f"half a character (a lone surrogate) after row {first}"
        raise self._expected.refused(problem)


def _once(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise _TwiceError
    return row
