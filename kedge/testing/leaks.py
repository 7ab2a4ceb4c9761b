"""Looking for values where they must not be: in the bytes of files, and behind the encodings that hide them.

Every file below the given folders is searched as it is, and in addition as what it is: gzip, zip, SQLite (dumped,
with its binary cells unpacked), plaintext Parquet and Arrow files.
"""

import gzip
import json
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

_PIECE = 16 * 2**20
_BLOB = re.compile(r"X'([0-9A-Fa-f]+)'")


@dataclass(frozen=True, order=True)
class Hit:
    """A value was found; it is named by its position, for a report is read by people too.

    Attributes:
        path: file that holds it.
        index: position in the values searched for.
        form: how it was written and packed, such as `utf-8`, `float64 in sqlite`.
    """

    path: Path
    index: int
    form: str


def search(values: Sequence[str], *roots: Path) -> list[Hit]:
    """Find values in any letter case (ASCII) in every regular file below `roots`.

    Values that are decimal numbers are looked for as 64-bit floats too.

    Args:
        values: texts of at least 6 characters, or chance would find them in encrypted bytes.
        roots: folders or files.

    Raises:
        ValueError: a value is too short.
    """
    if short := [at for at, value in enumerate(values) if len(value.encode()) < 6]:
        raise ValueError(f"values: needs texts of at least 6 bytes; got shorter ones at {short[:5]}.")
    needles, hits = _Needles(values), set[Hit]()
    pieces = (piece for root in roots for path in _files(root) for piece in _pieces(path, needles.longest))
    for batch in _batches(pieces):
        hits |= needles.find(batch)
    return sorted(hits)


@dataclass(frozen=True)
class _Piece:
    """Bytes of a file, as they are (`packing` empty) or unpacked."""

    path: Path
    packing: str
    data: bytes


class _Needles:
    """All written forms of the values, as one Aho-Corasick search over bytes read as Latin-1."""

    def __init__(self, values: Sequence[str]) -> None:
        self._forms: dict[str, tuple[int, str]] = {}
        for at, value in enumerate(values):
            for form, data in _written(value):
                self._forms.setdefault(data.lower().decode("latin-1"), (at, form))
        self._patterns = pl.Series(list(self._forms), dtype=pl.String).implode()
        self.longest = max(map(len, self._forms), default=0)

    def find(self, pieces: Sequence[_Piece]) -> set[Hit]:
        """The values in the pieces; in one call, for building the search costs more than searching."""
        texts = pl.Series([piece.data.decode("latin-1") for piece in pieces], dtype=pl.String)
        found = texts.str.extract_many(self._patterns, ascii_case_insensitive=True, overlapping=True)
        hits = set()
        for piece, matches in zip(pieces, found, strict=True):
            for text in matches.unique():
                at, form = self._forms[text.encode("latin-1").lower().decode("latin-1")]
                hits.add(Hit(piece.path, at, f"{form} in {piece.packing}" if piece.packing else form))
        return hits


def _batches(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Groups of about `_PIECE` bytes."""
    batch: list[_Piece] = []
    for piece in pieces:
        batch.append(piece)
        if sum(len(held.data) for held in batch) >= _PIECE:
            yield batch
            batch = []
    if batch:
        yield batch


def _written(value: str) -> Iterator[tuple[str, bytes]]:
    yield "utf-8", value.encode()
    yield "utf-16", value.encode("utf-16-le")
    if not value.isascii():
        yield "escaped", value.encode("ascii", "backslashreplace")
        yield "escaped", json.dumps(value)[1:-1].encode()
    if re.fullmatch(r"-?\d+\.\d{3,}", value):
        yield "float64", struct.pack("<d", float(value))


def _files(root: Path) -> Iterator[Path]:
    paths = sorted(root.rglob("*")) if root.is_dir() else [root]
    return (path for path in paths if path.is_file() and not path.is_symlink())


def _pieces(path: Path, overlap: int) -> Iterator[_Piece]:
    try:
        for data in _read(path, overlap):
            yield _Piece(path, "", data)
        for packing, data in _unpacked(path):
            yield _Piece(path, packing, data)
    except FileNotFoundError:
        return  # a running process removed its file meanwhile: nothing is left to be found in it


def _read(path: Path, overlap: int) -> Iterator[bytes]:
    """The file in pieces that overlap, so that nothing hides on a border."""
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield tail + piece
            tail = (tail + piece)[-overlap:] if overlap else b""


def _unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    """What a packed file says, by the magic it begins with; nothing for other files."""
    with path.open("rb") as file:
        magic = file.read(16)
    if magic.startswith(b"\x1f\x8b"):
        yield "gzip", gzip.decompress(path.read_bytes())
    elif magic.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(path) as archive:
            yield from (("zip", archive.read(name)) for name in archive.namelist())
    elif magic.startswith(b"SQLite format 3\0"):
        yield from (("sqlite", data) for data in _dumped(path))
    elif magic.startswith(b"PAR1"):
        yield "parquet", _as_text(pl.read_parquet(path))
    elif magic.startswith(b"ARROW1"):
        yield "arrow", _as_text(pl.read_ipc(path))


def _as_text(frame: pl.DataFrame) -> bytes:
    return frame.with_columns(pl.col(pl.Binary).bin.encode("hex")).write_ndjson().encode()


def _dumped(path: Path) -> Iterator[bytes]:
    """The database as SQL, its write-ahead log included, and its binary cells, inflated where they are deflated."""
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        dump = "\n".join(database.iterdump())
    yield dump.encode("utf-8", "surrogateescape")
    for cell in _BLOB.findall(dump):
        data = bytes.fromhex(cell)
        yield data
        if inflated := _inflated(data):
            yield inflated


def _inflated(data: bytes) -> bytes | None:
    try:
        return zlib.decompress(data, wbits=47)  # zlib or gzip, by its header
    except zlib.error:
        return None
