"""CSV: fields between delimiters, one row per line unless a quoted field holds line ends (RFC 4180)."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.csv

from kedge.errors import KedgeError, Terminal
from kedge.source import limits
from kedge.source.header import header_names
from kedge.source.reader import Expected
from kedge.source.stream import Hashed, Text


class Delimited:
    """Reads CSV as columns of text; blanks after a delimiter go."""

    def __init__(self, file: BinaryIO, expected: Expected, key: bytes) -> None:
        self._expected, self._dialect = expected, expected.dialect
        self._hashed = Hashed(file, key)
        self._text = Text(
            self._hashed,
            gzipped=expected.gzipped,
            encoding=self._dialect.encoding,
            quote=self._dialect.quote,
            comment=self._dialect.comment,
        )
        self._lines = io.BufferedReader(self._text, limits.MAX_HEADER_BYTES)

    def columns(self) -> tuple[str, ...]:
        """Names in the first line, or the declared ones where there is no such line; the next row comes after it."""
        if not self._dialect.header:
            return tuple(self._expected.declared)
        problem, line = None, b""
        try:
            line = self._lines.readline(limits.MAX_HEADER_BYTES)
        except OSError as error:
            problem = str(error)
        if problem:
            raise self._expected.refused(problem)
        if not line.strip():
            raise self._expected.refused("an empty first line, or nothing at all")
        open_quote = self._dialect.quote and line.count(self._dialect.quote.encode()) % 2
        if open_quote or len(line) == limits.MAX_HEADER_BYTES:
            raise self._expected.refused("a first line that does not end, or holds a line end in quotes")
        return header_names(self._expected.name, self._fields(line.decode().rstrip("\r\n")), self._expected.declared)

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        if self.columns() != tuple(columns):
            raise self._expected.changed()
        for cells in self._cells(columns):
            frame = pl.from_arrow(cells)
            assert isinstance(frame, pl.DataFrame)
            yield frame.with_columns(pl.all().str.strip_chars_start(" "))

    def keyed(self) -> str:
        return self._hashed.keyed()

    def _fields(self, line: str) -> list[str]:
        quoting: dict[str, Any] = (
            {"quotechar": self._dialect.quote} if self._dialect.quote else {"quoting": csv.QUOTE_NONE}
        )
        try:
            return next(csv.reader([line], delimiter=self._dialect.delimiter, skipinitialspace=True, **quoting))
        except csv.Error:
            problem = "a first line that cannot be split into fields"
        raise self._expected.refused(problem)  # outside of the handler: nothing is chained to it

    def _cells(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Batches of text as pyarrow reads them; what it says about a broken file quotes the row, so it is replaced."""
        ragged = [0, 0, 0]  # how many; number and fields of the first

        def skip(row: Any) -> str:
            if not ragged[0]:
                ragged[1:] = row.number or 0, row.actual_columns
            ragged[0] += 1
            return "skip"

        problem: KedgeError | None = None
        try:
            yield from self._parsed(columns, skip)
        except pa.ArrowInvalid as error:
            problem = None if str(error).startswith("Empty CSV") else self._expected.refused(_kind(str(error)))
        except OSError:
            problem = self._expected.refused(self._text.problem or "a file that cannot be read to its end")
        finally:
            self._text.stop()
        if problem:
            raise problem
        if ragged[0]:
            raise self._ragged(len(columns), *ragged)
        if self._text.num_quotes % 2:
            raise self._expected.refused("an odd number of quotes: a quoted text is not closed")

    def _parsed(self, columns: Sequence[str], skip: Any) -> pa.RecordBatchReader:
        quote = self._dialect.quote or False
        return pyarrow.csv.open_csv(
            pa.PythonFile(self._lines, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                column_names=list(columns),
                block_size=limits.MAX_ROW_BYTES,
                use_threads=False,  # row numbers are known only then
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self._dialect.delimiter,
                quote_char=quote,
                double_quote=bool(quote),
                newlines_in_values=bool(quote),
                invalid_row_handler=skip,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.large_string()), strings_can_be_null=False
            ),
        )

    def _ragged(self, width: int, count: int, number: int, found: int) -> Terminal:
        return Terminal(
            self._expected.name,
            need=f"{width} fields in every row",
            got=f"{count} rows with another number of fields; the first is row {number} with {found}",
            remedy="Quote texts that hold the delimiter, compare source.delimiter, or ask for the file again.",
        )


def _kind(message: str) -> str:
    """What pyarrow complains about, without its quotation of the row."""
    if "straddling" in message:
        return f"a row longer than {limits.MAX_ROW_BYTES >> 20} MiB, or a quoted text that is not closed"
    return "text that is no CSV"
