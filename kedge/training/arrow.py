"""Arrow columns as the numbers and texts a network reads; the same way in training and scoring.

A failed conversion never quotes the value it failed on.
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kedge.errors import Terminal

Floats: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Codes: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def as_table(frame: Any) -> pa.Table:
    """A `pyarrow.Table` as it is, or a frame that converts itself to one (polars), without importing polars."""
    if isinstance(frame, pa.Table):
        return frame
    return frame.to_arrow()


def column(table: pa.Table, name: str) -> pa.Array:
    """One column in one piece.

    Raises:
        Terminal: the table has no such column.
    """
    if name not in table.column_names:
        raise Terminal(
            f"column {name}",
            need="to be among the rows, since the model was trained with it",
            got="rows without it",
            remedy="Transform the rows with the model's own plan.",
        )
    chunks = table.column(name).combine_chunks()
    return pa.concat_arrays(chunks.chunks) if isinstance(chunks, pa.ChunkedArray) else chunks


def floats(table: pa.Table, name: str) -> Floats:
    """Numbers, dates (days) and datetimes (microseconds since 1970) as float64; missing and non-finite become NaN."""
    values = column(table, name)
    kind = values.type
    if not (pa.types.is_temporal(kind) or _is_number(kind) or pa.types.is_null(kind)):
        raise Terminal(
            f"column {name}",
            need="a number, a date or a datetime, as when the model was trained",
            got=f"type {kind}",
            remedy="Transform the rows with the model's own plan.",
        )
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", tz=kind.tz), safe=False).cast(pa.int64())
    elif pa.types.is_date(kind):
        values = values.cast(pa.date32(), safe=False).cast(pa.int32())
    numbers: Floats = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _is_number(kind: pa.DataType) -> bool:
    found = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(test(kind) for test in found)


def texts(table: pa.Table, name: str) -> pa.Array:
    """Any column by its text (booleans: true, false), type large_string."""
    values = column(table, name)
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return pc.cast(values, pa.large_string())


def distinct(numbers: Codes) -> Codes:
    """Sorted distinct numbers; numpy's own way hashes, which takes ten times as long."""
    ordered = np.sort(numbers)
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return np.compress(first, ordered)


def codes(values: pa.Array) -> Codes:
    """Position of each value among the distinct ones, in order of appearance; missing values are one value, too."""
    found: Codes = values.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False)
    return found.astype(np.int64)
