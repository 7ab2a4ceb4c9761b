"""Deliveries as columns of text, exactly as received, with `_row`: the position in the delivery.

Types come later (`kedge.quality`): a cell that does not parse is a matter of the contract and goes to quarantine;
a file that does not parse (ragged rows, broken text) is refused as a whole. No error quotes a cell.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import polars as pl

from kedge.errors import Terminal
from kedge.lake import ROW
from kedge.source import limits
from kedge.source.columnar import Columnar
from kedge.source.delimited import Delimited
from kedge.source.file import fingerprint, open_regular
from kedge.source.jsonlines import JsonLines
from kedge.source.reader import Expected, Reader
from kedge.spec.dialect import SUFFIXES, Dialect, Format

_READERS: dict[Format, type[Reader]] = {"csv": Delimited, "jsonl": JsonLines, "parquet": Columnar}


@dataclass(kw_only=True)
class Delivery:
    """One file of a source, read as often as asked, in constant memory.

    Attributes:
        path: of the file; `.gz` at its end means gzip.
        source: how it is written.
        declared: the declared columns; a CSV file without a header has them in this order.
        keyed: keyed digest that the bytes must have (`file.Fingerprint.keyed`); empty if it does not matter.
        key: for that digest.
        columns: names of the columns that are in the file.
    """

    path: Path
    source: Dialect
    declared: Sequence[str]
    keyed: str = ""
    key: bytes = b""
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        with open_regular(self.path) as file, self._blamed():
            self.columns = self._reader(file, b"").columns()

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema(dict.fromkeys(self.columns, pl.String()) | {ROW: pl.UInt64()})

    def scan(self) -> pl.LazyFrame:
        """All rows, lazily; the file is read anew by each collection.

        Raises (when collected):
            Terminal: the file is not what its source says, or larger than a limit.
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
        with open_regular(self.path) as file, self._blamed():
            reader = self._reader(file, self.key)
            start = 0
            for cells in reader.frames(self.columns):
                self._check_size(cells, start)
                yield self._as_received(cells, start)
                start += cells.height
            if not start:
                yield pl.DataFrame(schema=self.schema)
            if self.keyed and reader.keyed() != self.keyed:
                raise self._expected.changed()

    def rows(self, positions: range) -> pl.DataFrame:
        """Some consecutive rows, `_row` counted from 0 among them; reads no further than it must."""
        kept: list[pl.DataFrame] = []
        for frame in self.batches():
            inside = pl.col(ROW).is_between(positions.start, positions.stop, closed="left")
            kept.append(frame.filter(inside))
            if not frame.is_empty() and frame[ROW][-1] >= positions.stop - 1:
                break
        return pl.concat(kept).with_columns(pl.col(ROW) - positions.start)

    @property
    def _expected(self) -> Expected:
        kind = self.source.format_of(self.path.name)
        if kind is None:
            need, remedy = f"a name that ends in {', '.join(SUFFIXES)}", "Rename the file, or write source.format."
            raise Terminal(self.path.name, need=need, got="another name", remedy=remedy)
        return Expected(name=self.path.name, format=kind, dialect=self.source, declared=self.declared)

    def _reader(self, file: BinaryIO, key: bytes) -> Reader:
        expected = self._expected
        return _READERS[expected.format](file, expected, key)

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """A file that another process writes is not refused for what it says meanwhile: it has changed."""
        try:
            yield
        except Terminal:
            if self.keyed and fingerprint(self.path, self.key).keyed != self.keyed:
                raise self._expected.changed() from None
            raise

    def _check_size(self, cells: pl.DataFrame, start: int) -> None:
        if start + cells.height > limits.MAX_ROWS:
            raise self._expected.beyond(f"at most {limits.MAX_ROWS} rows", "more")
        largest = cells.select(pl.all().str.len_bytes().max()).row(0) if cells.height else ()
        for name, size in zip(cells.columns, largest, strict=False):
            if (size or 0) > limits.MAX_CELL_BYTES:
                need, got = f"cells of at most {limits.MAX_CELL_BYTES} bytes", f"one of {size} in column {name}"
                raise self._expected.beyond(need, got)

    def _as_received(self, cells: pl.DataFrame, start: int) -> pl.DataFrame:
        """Missing markers are null; rows have their position."""
        missing = list(self.source.missing)
        return cells.with_columns(
            pl.when(~pl.all().is_in(missing)).then(pl.all()),
            pl.int_range(start, start + cells.height, dtype=pl.UInt64).alias(ROW),
        )
