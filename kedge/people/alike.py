"""Rows that a model cannot tell apart: equal in every feature, missing values included.

Rows are compared by a canonical encoding of 16 bytes a feature, so that it makes no difference how a number was written
(5, 5.0, 05), how wide its type is, in which order rows or features come, or which other rows are there.
"""

from collections.abc import Collection
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray

WIDTH = 16
_MISSING = b"\xff" * WIDTH


def alike(frame: pl.DataFrame, numeric: Collection[str], secret: bytes) -> tuple[list[bytes], NDArray[np.int64]]:
    """Distinct rows, and for each row which of them it is.

    Args:
        frame: (n,) the columns that count; no other.
        numeric: those that are numbers, dates or datetimes; all others are compared as texts.
        secret: 32 bytes; keys the digests of texts.

    Returns:
        one key per distinct row, and (n,) positions among them.
    """
    columns = sorted(frame.columns)
    if not len(frame):
        return [], np.zeros(0, np.int64)
    encoded = [(_numbers if name in numeric else _texts)(frame[name], secret) for name in columns]
    rows = np.ascontiguousarray(np.concatenate(encoded, axis=1)).view(f"V{WIDTH * len(columns)}").ravel()
    distinct, group = np.unique(rows, return_inverse=True)
    return [row.tobytes() for row in distinct], group.astype(np.int64)


def _numbers(column: pl.Series, secret: bytes) -> NDArray[np.uint8]:
    """(n, 16) the bits of the float64 (dates and datetimes as microseconds since 1970), without a negative zero."""
    if column.dtype.is_temporal():
        column = column.cast(pl.Datetime("us")).to_physical()
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy() + 0.0
    cells = np.zeros((len(values), WIDTH), np.uint8)
    cells[:, :8] = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    cells[np.isnan(values)] = np.frombuffer(_MISSING, np.uint8)
    return cells


def _texts(column: pl.Series, secret: bytes) -> NDArray[np.uint8]:
    """(n, 16) keyed BLAKE2b (RFC 7693) of the text, made once per distinct one."""
    texts = column.cast(pl.String)
    distinct = texts.unique()
    cells = np.stack([np.frombuffer(_digest(text, secret), np.uint8) for text in distinct.to_list()])
    code = texts.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    order = distinct.rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
    by_code = np.empty((int(order.max()) + 1, WIDTH), np.uint8)
    by_code[order] = cells
    found: NDArray[np.uint8] = by_code[code]
    return found


def _digest(text: str | None, secret: bytes) -> bytes:
    if text is None:
        return _MISSING
    return blake2b(text.encode(), digest_size=WIDTH, key=secret, person=b"kedge.alike").digest()
