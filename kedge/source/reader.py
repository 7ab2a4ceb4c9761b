"""What a reader of one file format is, and how it refuses a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import polars as pl

from kedge.errors import Terminal, Transient
from kedge.spec.dialect import Dialect, Format


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a file should be.

    Attributes:
        name: of the file, for messages.
        format: of the file.
        dialect: how it is written.
        declared: the declared columns, in order.
    """

    name: str
    format: Format
    dialect: Dialect
    declared: Sequence[str]

    @property
    def gzipped(self) -> bool:
        return self.name.endswith(".gz")

    def refused(self, got: str) -> Terminal:
        """The error for a file that is not what was declared; `got` quotes no cell."""
        need = {
            "csv": f"a whole CSV file in {self.dialect.encoding} with {self.dialect.delimiter!r} between its fields",
            "jsonl": f"a whole file of JSON lines in {self.dialect.encoding}: one flat object per line",
            "parquet": "a whole Parquet file of flat columns that can be written as text",
        }[self.format]
        remedy = "Ask the sender for the file again, or correct source: in the declaration."
        return Terminal(self.name, need=need, got=got, remedy=remedy)

    def beyond(self, need: str, got: str) -> Terminal:
        """The error for a file that is larger than a limit of `kedge.source.limits`."""
        remedy = "Ask the sender what this is; docs/declaration.md, Limits, says how to deliver more."
        return Terminal(self.name, need=need, got=got, remedy=remedy)

    def changed(self) -> Transient:
        """The error for a file that another process writes."""
        need, got = "a file that rests", "other bytes than a moment ago"
        return Transient(self.name, need=need, got=got, remedy="Run it again later.")


class Reader(Protocol):
    """Reads an open file once, from its beginning: either `columns` or `frames`, then `keyed`."""

    def __init__(self, file: BinaryIO, expected: Expected, key: bytes) -> None: ...

    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are in the file.

        Raises:
            Terminal: the file is not what was declared.
        """
        ...

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Cells as text, in file order, about `limits.MAX_ROW_BYTES` at a time.

        Args:
            columns: what `columns` said of the same file.

        Raises:
            Terminal: the file is not what was declared.
            Transient: it has other columns by now.
        """
        ...

    def keyed(self) -> str:
        """Keyed digest of the bytes that `frames` was made of; reads what is left of them."""
        ...
