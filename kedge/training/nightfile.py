"""One night's encrypted rows, read with the one key that opens them, and its labels with theirs."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_decryption_properties

from kedge.errors import Tampered
from kedge.training.task import LabelFile, Night

ROW = "_row"
_ENCRYPTED = b"PARE"

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Positions = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def read(night: Night, columns: Sequence[str]) -> tuple[pa.Table, Mask]:
    """The rows of a night that train, and which of them are validation rows.

    Raises:
        Tampered: the file is not what was written; the reader's own message is withheld.
    """
    late = () if night.labels is None else night.labels.columns
    rows = _open(night, [ROW, *(name for name in columns if name not in late)])
    position = rows.column(ROW).to_numpy().astype(np.int64)
    train, validation = (_bits(mask, position) for mask in (night.train, night.validation))
    chosen = train | validation
    if night.labels is not None:
        rows = _labelled(rows, position, night.labels)
    return rows.select(list(columns)).filter(pa.array(chosen)), validation[chosen]


def _labelled(rows: pa.Table, position: Positions, labels: LabelFile) -> pa.Table:
    """The rows with their outcomes beside them; a row without a label misses them."""
    outcomes = _open(labels, [ROW, *labels.columns])
    known = outcomes.column(ROW).to_numpy().astype(np.int64)
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known[order], position), max(0, known.size - 1))
    found = known[order][at] == position if known.size else np.zeros(position.size, np.bool_)
    place = pa.array(order[at] if known.size else at, mask=~found)
    for name in labels.columns:
        rows = rows.append_column(name, outcomes.column(name).take(place))
    return rows


def _open(night: Night | LabelFile, columns: list[str]) -> pa.Table:
    with night.path.open("rb") as file:
        if file.read(4) != _ENCRYPTED:  # the reader accepts a plaintext file, whatever key it is given
            raise _tampered(night)
    properties = create_decryption_properties(night.key, aad_prefix=night.aad.encode())
    try:
        return pq.read_table(night.path, columns=columns, decryption_properties=properties, partitioning=None)
    except (OSError, pa.ArrowException):
        raise _tampered(night) from None


def _bits(packed: bytes, position: Positions) -> Mask:
    """Bit `position` of each row; positions beyond the last bit are not set."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little").astype(np.bool_)
    padded = np.append(bits, False)
    return padded[np.minimum(position, len(bits))]


def _tampered(night: Night | LabelFile) -> Tampered:
    return Tampered(
        night.aad,
        need="the encrypted file that was written there",
        got="bytes that its key does not open",
        remedy="Restore the version from a backup, or run its stage again.",
    )
