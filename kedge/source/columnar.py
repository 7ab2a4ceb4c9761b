"""Parquet: typed columns, written as the canonical text of their values.

| type | text |
|---|---|
| string | as it is |
| bool | `true`, `false` |
| integer, decimal | digits |
| float | the shortest text that reads back as the same number; whole numbers without a point |
| date | `2026-01-31` |
| timestamp | `2026-01-31T23:59:59`, a fraction without its last zeros; a moment of a time zone in UTC, with a `Z` |
| time | `23:59:59` |

A dictionary stays one until the size of its rows is known: a text of 1 MiB costs a Parquet file a few bits per row.
"""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kinds

from kedge.errors import KedgeError
from kedge.source import limits
from kedge.source.file import CHUNK
from kedge.source.header import header_names
from kedge.source.reader import Expected
from kedge.source.verified import Verified

_BATCH_ROWS = 65_536
_CELL_BYTES = 32  # at most, of a number or a time
_WRITABLE = (
    kinds.is_string,
    kinds.is_large_string,
    kinds.is_string_view,
    kinds.is_boolean,
    kinds.is_integer,
    kinds.is_floating,
    kinds.is_decimal,
    kinds.is_date,
    kinds.is_timestamp,
    kinds.is_time,
    kinds.is_null,
)


class Columnar:
    """Reads Parquet as columns of text, row group by row group."""

    def __init__(self, file: BinaryIO, expected: Expected, key: bytes) -> None:
        self._file, self._key, self._expected = file, key, expected
        self._verified: Verified | None = None

    def columns(self) -> tuple[str, ...]:
        return self._columns(self._open(self._file))

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        self._verified = Verified(self._file, self._key)
        file = self._open(self._verified)
        if self._columns(file) != tuple(columns):
            raise self._expected.changed()
        for number in range(file.num_row_groups):
            batches = file.iter_batches(
                batch_size=_batch_rows(file.metadata.row_group(number)), row_groups=[number], use_threads=False
            )
            while (batch := self._shielded(partial(next, batches, None))) is not None:
                yield from self._frames(batch, columns)

    def keyed(self) -> str:
        return "" if self._verified is None else self._verified.keyed

    def _columns(self, file: pq.ParquetFile) -> tuple[str, ...]:
        """Names, once the metadata say that the file is worth reading."""
        about, schema = file.metadata, file.schema_arrow
        names = header_names(self._expected.name, schema.names, self._expected.declared)
        for name, kind in zip(names, map(_value_type, schema.types), strict=True):
            if not any(is_kind(kind) for is_kind in _WRITABLE):
                raise self._expected.refused(f"column {name}, which is nested, binary or of another such type")
        if about.num_rows > limits.MAX_ROWS:
            raise self._expected.beyond(f"at most {limits.MAX_ROWS} rows", f"{about.num_rows}")
        unpacked = sum(_unpacked_bytes(about.row_group(number)) for number in range(about.num_row_groups))
        if unpacked > max(limits.FREE_BYTES, limits.MAX_RATIO * self._size()):
            raise self._expected.refused(f"a file that unpacks to more than {limits.MAX_RATIO} times its size")
        return names

    def _open(self, file: Any) -> pq.ParquetFile:
        self._check_ends(file)

        def parquet(texts: list[str] | None) -> pq.ParquetFile:
            file.seek(0)
            return pq.ParquetFile(
                pa.PythonFile(file, mode="r"),
                read_dictionary=texts,
                buffer_size=CHUNK,  # else a whole column of a row group is held
                pre_buffer=False,
                thrift_string_size_limit=limits.MAX_FOOTER_BYTES,
            )

        def opened() -> pq.ParquetFile:
            schema = parquet(None).schema_arrow
            texts = [field.name for field in schema if kinds.is_string(field.type) or kinds.is_large_string(field.type)]
            return parquet(texts)

        return self._shielded(opened)

    def _check_ends(self, file: Any) -> None:
        """The first and the last bytes of a Parquet file: `PAR1`, and how long the description of the rest is."""
        size = self._size()
        file.seek(0)
        first = file.read(4) if size >= 12 else b""
        file.seek(max(0, size - 8))
        last = file.read(8)
        if first != b"PAR1" or last[4:] != b"PAR1":
            raise self._expected.refused("other bytes than Parquet begins and ends with")
        footer = int.from_bytes(last[:4], "little")
        if footer > min(size - 12, limits.MAX_FOOTER_BYTES):
            raise self._expected.refused("a description of its columns that is longer than it may be")

    def _size(self) -> int:
        return self._verified.size if self._verified else self._file.seek(0, io.SEEK_END)

    def _frames(self, batch: pa.RecordBatch, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        for piece in _pieces(batch):
            if _text_bytes(piece) > limits.MAX_ROW_BYTES:
                raise self._expected.refused(f"a row longer than {limits.MAX_ROW_BYTES >> 20} MiB")
            yield self._frame(piece, columns)

    def _frame(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pl.DataFrame:
        texts = self._shielded(lambda: [_text(column) for column in batch.columns])
        frame = pl.from_arrow(pa.table(texts, names=list(columns)))
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _shielded(self, call: Any) -> Any:
        """`call()`; what pyarrow says may quote a cell and is withheld."""
        problem: KedgeError
        try:
            return call()
        except OSError:  # pyarrow reports damaged pages so, too
            changed = self._verified is not None and self._verified.problem
            problem = self._expected.changed() if changed else self._expected.refused("a damaged Parquet file")
        except (pa.ArrowException, UnicodeError, OverflowError):
            problem = self._expected.refused("a damaged Parquet file, or values that cannot be written as text")
        raise problem


def _unpacked_bytes(group: pq.RowGroupMetaData) -> int:
    return sum(max(0, int(group.column(number).total_uncompressed_size)) for number in range(group.num_columns))


def _batch_rows(group: pq.RowGroupMetaData) -> int:
    """Rows of a group that take about as much memory as one row may."""
    row_bytes = max(_CELL_BYTES * int(group.num_columns), _unpacked_bytes(group) // max(1, int(group.num_rows)))
    return max(1, min(_BATCH_ROWS, limits.MAX_ROW_BYTES // row_bytes))


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if kinds.is_dictionary(kind) else kind


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch, halved until its text is no larger than a row may be."""
    if batch.num_rows <= 1 or _text_bytes(batch) <= limits.MAX_ROW_BYTES:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half))
    yield from _pieces(batch.slice(half))


def _text_bytes(batch: pa.RecordBatch) -> int:
    """Size of all texts of a batch, without writing them out."""
    return sum(_column_bytes(column) for column in batch.columns if _is_text(_value_type(column.type)))


def _column_bytes(column: pa.Array) -> int:
    if kinds.is_dictionary(column.type):
        return pc.sum(pc.binary_length(column.dictionary).take(column.indices).cast(pa.int64())).as_py() or 0
    return pc.sum(pc.binary_length(column.cast(pa.large_string())).cast(pa.int64())).as_py() or 0


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _text(column: pa.Array) -> pa.Array:
    """Canonical text of a column. Texts are checked to be UTF-8, which nobody else does."""
    if kinds.is_dictionary(column.type):
        column.dictionary.validate(full=True)
        column = column.dictionary_decode()
    kind = column.type
    if _is_text(kind):
        column.validate(full=True)
    elif kinds.is_timestamp(kind):
        moments = pc.cast(column.cast(pa.timestamp(kind.unit)), pa.string())
        written = pc.replace_substring(_short(moments), " ", "T", max_replacements=1)
        return (written if kind.tz is None else pc.binary_join_element_wise(written, "Z", "")).cast(pa.large_string())
    elif kinds.is_time(kind):
        return _short(pc.cast(column, pa.string())).cast(pa.large_string())
    elif kinds.is_date64(kind):
        column = column.cast(pa.date32())
    elif kinds.is_float16(kind):
        column = column.cast(pa.float32())
    return pc.cast(column, pa.large_string())


def _short(times: pa.Array) -> pa.Array:
    """Fractions of seconds without the zeros they end in."""
    return pc.replace_substring_regex(times, r"(\.\d*[1-9])0+$|\.0+$", r"\1")
