"""CSV files as columns of text, exactly as received, with `_row`: the position in the delivery.

Types come later (`kedge.quality`): a cell that does not parse is a matter of the contract and goes to quarantine;
a file that does not parse (ragged rows, broken text) is refused as a whole. No error quotes a cell.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.csv

from kedge.errors import KedgeError, Terminal, Transient
from kedge.source.file import open_regular
from kedge.source.header import header_names
from kedge.source.stream import Hashed, Text
from kedge.spec import Source

ROW = "_row"
MAX_ROW_BYTES = 8 << 20
_MAX_HEADER_BYTES = 1 << 20


@dataclass(kw_only=True)
class Delivery:
    """One file of a source, read as often as asked, in constant memory.

    Attributes:
        path: .csv or .csv.gz.
        source: header, delimiter, encoding and missing markers.
        declared: the declared columns; a file without a header has them in this order.
        keyed: keyed digest that the bytes must have (`file.Fingerprint.keyed`); empty if it does not matter.
        key: for that digest.
    """

    path: Path
    source: Source
    declared: Sequence[str]
    keyed: str = ""
    key: bytes = b""
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        with open_regular(self.path) as file:
            self.columns = self._columns(self._open(Hashed(file, b""))[1])

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema(dict.fromkeys(self.columns, pl.String()) | {ROW: pl.UInt64()})

    def scan(self) -> pl.LazyFrame:
        """All rows, lazily; the file is read anew by each collection.

        Raises (when collected):
            Terminal: the file is no such CSV file.
            Transient: it is not the file whose digest is `keyed` any more.
        """
        from polars.io.plugins import register_io_source

        def produce(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            for frame in self.batches():
                frame = frame if predicate is None else frame.filter(predicate)
                yield frame if with_columns is None else frame.select(with_columns)

        return register_io_source(produce, schema=self.schema)

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows in file order, about 8 MiB of text at a time; at least one frame, possibly without rows."""
        with open_regular(self.path) as file:
            hashed = Hashed(file, self.key)
            text, lines = self._open(hashed)
            if self._columns(lines) != self.columns:
                raise self._changed()
            start = 0
            for cells in self._cells(text, lines):
                frame = self._as_received(cells, start)
                start += frame.height
                yield frame
            if not start:
                yield pl.DataFrame(schema=self.schema)
            if self.keyed and hashed.keyed() != self.keyed:
                raise self._changed()

    def rows(self, positions: range) -> pl.DataFrame:
        """Some consecutive rows, `_row` counted from 0 among them; reads no further than it must."""
        kept: list[pl.DataFrame] = []
        for frame in self.batches():
            inside = pl.col(ROW).is_between(positions.start, positions.stop, closed="left")
            kept.append(frame.filter(inside))
            if not frame.is_empty() and frame[ROW][-1] >= positions.stop - 1:
                break
        return pl.concat(kept).with_columns(pl.col(ROW) - positions.start)

    def _open(self, hashed: Hashed) -> tuple[Text, io.BufferedReader]:
        text = Text(hashed, gzipped=self.path.name.endswith(".gz"), encoding=self.source.encoding)
        return text, io.BufferedReader(text, _MAX_HEADER_BYTES)

    def _columns(self, lines: io.BufferedReader) -> tuple[str, ...]:
        """Names of the columns; leaves the reader at the first row."""
        if not self.source.header:
            return tuple(self.declared)
        problem, line = None, b""
        try:
            line = lines.readline(_MAX_HEADER_BYTES)
        except OSError as error:
            problem = str(error)
        if problem:
            raise self._refused(problem)
        if not line.strip():
            raise self._refused("an empty first line, or nothing at all")
        if line.count(b'"') % 2 or len(line) == _MAX_HEADER_BYTES:
            raise self._refused("a first line that does not end, or holds a line end in quotes")
        (fields,) = csv.reader([line.decode().rstrip("\r\n")], delimiter=self.source.delimiter, skipinitialspace=True)
        return header_names(self.path.name, fields, self.declared)

    def _cells(self, text: Text, lines: io.BufferedReader) -> Iterator[pa.RecordBatch]:
        """Batches of text as pyarrow reads them; what it says about a broken file quotes the row, so it is replaced."""
        ragged: list[tuple[int, int]] = []

        def skip(row: Any) -> str:
            ragged.append((row.number or 0, row.actual_columns))
            return "skip"

        problem: KedgeError | None = None
        try:
            yield from _csv(lines, self.columns, self.source.delimiter, skip)
        except pa.ArrowInvalid as error:
            problem = None if str(error).startswith("Empty CSV") else self._refused(_kind(str(error)))
        except OSError:
            problem = self._refused(text.problem or "a file that cannot be read to its end")
        if problem:
            raise problem
        if ragged:
            raise self._ragged(ragged)
        if text.num_quotes % 2:
            raise self._refused("an odd number of double quotes: a quoted text is not closed")

    def _as_received(self, cells: pa.RecordBatch, start: int) -> pl.DataFrame:
        """Text without blanks after the delimiter; missing markers are null."""
        frame = pl.from_arrow(cells)
        assert isinstance(frame, pl.DataFrame)
        stripped = frame.with_columns(pl.all().str.strip_chars_start(" "))
        missing = list(self.source.missing)
        return stripped.with_columns(
            pl.when(~pl.all().is_in(missing)).then(pl.all()),
            pl.int_range(start, start + frame.height, dtype=pl.UInt64).alias(ROW),
        )

    def _ragged(self, rows: Sequence[tuple[int, int]]) -> Terminal:
        number, found = rows[0]
        return Terminal(
            self.path.name,
            need=f"{len(self.columns)} fields in every row",
            got=f"{len(rows)} rows with another number of fields; the first is row {number} with {found}",
            remedy="Quote texts that hold the delimiter, compare source.delimiter, or ask for the file again.",
        )

    def _refused(self, got: str) -> Terminal:
        return Terminal(
            self.path.name,
            need=f"a whole CSV file in {self.source.encoding} with {self.source.delimiter!r} between its fields",
            got=got,
            remedy="Ask the sender for the file again, or correct source: in the declaration.",
        )

    def _changed(self) -> Transient:
        return Transient(
            self.path.name, need="a file that rests", got="other bytes than a moment ago", remedy="Run it again later."
        )


def _csv(lines: io.BufferedReader, columns: Sequence[str], delimiter: str, skip: Any) -> pa.RecordBatchReader:
    if not delimiter.isascii():
        raise Terminal("source.delimiter", need="an ASCII character", got="another", remedy="Ask for , or ; or tab.")
    return pyarrow.csv.open_csv(
        pa.PythonFile(lines, mode="r"),
        read_options=pyarrow.csv.ReadOptions(
            column_names=list(columns),
            block_size=MAX_ROW_BYTES,
            use_threads=False,  # row numbers are known only then
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.large_string()), strings_can_be_null=False
        ),
    )


def _kind(message: str) -> str:
    """What pyarrow complains about, without its quotation of the row."""
    if "straddling" in message:
        return f"a row longer than {MAX_ROW_BYTES >> 20} MiB, or a quoted text that is not closed"
    return "text that is no CSV"
