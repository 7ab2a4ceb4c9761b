"""The content digest: equal plaintext gives an equal digest, whatever the chunks, row groups or compression.

Each column feeds its own streams (which cells are missing, lengths, bytes), missing cells count as zero, and the
streams' digests are combined with names and types. Keyed: without the secret nobody can test a guess about a table.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b

import numpy as np
import polars as pl

from kedge.spec.canonical import canonical

_SIZE = 32


class FrameDigest:
    """Digest of one frame, fed batch by batch.

    Args:
        secret: 32 bytes, the pipeline's `digest` secret.
        schema: names and types of the columns, in order.
    """

    def __init__(self, secret: bytes, schema: Mapping[str, pl.DataType]) -> None:
        self._secret, self.rows = secret, 0
        self._columns = [(name, _label(dtype), _Stream(secret)) for name, dtype in schema.items()]

    def update(self, frame: pl.DataFrame, each: Callable[..., Iterable[None]] = map) -> None:
        """Feed the next rows.

        Args:
            each: like `map`; a pool's, for instance: columns do not know of each other, and hashing needs no lock.
        """
        self.rows += frame.height
        for _ in each(lambda column: column[2].update(frame.get_column(column[0])), self._columns):
            pass

    def hexdigest(self) -> str:
        columns = [[name, label, stream.digests()] for name, label, stream in self._columns]
        return _keyed(self._secret, canonical({"rows": self.rows, "columns": columns}))


class _Stream:
    """What one column is hashed into; lists and structs have columns of their own below."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._hashes = {part: blake2b(key=secret, digest_size=_SIZE) for part in ("missing", "lengths", "values")}
        self._inner: dict[str, _Stream] = {}

    def digests(self) -> list[object]:
        parts: list[object] = [found.hexdigest() for found in self._hashes.values()]
        return parts + [[name, stream.digests()] for name, stream in sorted(self._inner.items())]

    def update(self, column: pl.Series) -> None:
        self._feed("missing", column.is_null().to_numpy().astype(np.uint8))
        dtype = column.dtype
        if isinstance(dtype, pl.List | pl.Array):
            lists = column.cast(pl.List(dtype.inner)).fill_null(pl.Series([[]], dtype=pl.List(dtype.inner)).first())
            self._feed("lengths", lists.list.len().to_numpy().astype("<u8"))
            self._below("list", lists.explode(empty_as_null=False).slice(0, int(lists.list.len().sum())))
        elif isinstance(dtype, pl.Struct):
            for field in column.struct.fields:
                self._below(field, column.struct.field(field))
        elif _is_bytes(dtype):
            self._text(column)
        else:
            self._feed("values", _numbers(column))

    def _below(self, name: str, column: pl.Series) -> None:
        self._inner.setdefault(name, _Stream(self._secret)).update(column)

    def _text(self, column: pl.Series) -> None:
        data = column.cast(pl.String) if column.dtype != pl.Binary else column
        lengths, values = _bytes(data.cast(pl.Binary).fill_null(b""))
        self._feed("lengths", lengths)
        self._hashes["values"].update(values)

    def _feed(self, part: str, numbers: np.ndarray) -> None:
        self._hashes[part].update(np.ascontiguousarray(numbers).tobytes())


def combine(secret: bytes, files: Mapping[str, str]) -> str:
    """One digest of several files by name."""
    return _keyed(secret, canonical(dict(files)))


def bytes_digest(secret: bytes, data: bytes) -> str:
    """Digest of a file that is no frame."""
    return _keyed(secret, data)


def _keyed(secret: bytes, data: bytes) -> str:
    return blake2b(data, key=secret, digest_size=_SIZE, person=b"kedge.content").hexdigest()


def _is_bytes(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Binary | pl.Categorical | pl.Enum | pl.Decimal | pl.Null)


def _bytes(column: pl.Series) -> tuple[np.ndarray, memoryview]:
    """Lengths of the cells and all of their bytes in a row: as Arrow stores them, without a Python object per cell.

    Args:
        column: of type Binary, nothing missing.
    """
    cells = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())  # large_binary: offsets and bytes
    _, offsets, data = cells.buffers()
    ends = np.frombuffer(offsets, "<i8")[cells.offset : cells.offset + len(cells) + 1]
    return np.diff(ends).astype("<u8"), memoryview(data or b"")[ends[0] : ends[-1]]


def _numbers(column: pl.Series) -> np.ndarray:
    """Little-endian numbers, missing cells as zero, every NaN as the same NaN."""
    if column.dtype.is_float():
        numbers = column.fill_null(0.0).to_numpy()
        numbers = np.where(np.isnan(numbers), numbers.dtype.type("nan"), numbers)
    else:
        plain = column.cast(pl.UInt8) if column.dtype == pl.Boolean else column.to_physical()
        numbers = plain.fill_null(0).to_numpy()
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)


def _label(dtype: pl.DataType) -> str:
    """Name of the type; the categories a dictionary happens to hold are no part of the content."""
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return "Categorical"
    return str(dtype)
