"""One night's encrypted rows, read with the one key that opens them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet.encryption import create_decryption_properties

from kedge.errors import Tampered
from kedge.training.task import Night

ROW = "_row"
_ENCRYPTED = b"PARE"

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def read(night: Night, columns: Sequence[str]) -> tuple[pa.Table, Mask]:
    """The rows of a night that train, and which of them are validation rows.

    Raises:
        Tampered: the file is not what was written; the reader's own message is withheld.
    """
    rows = _open(night, [ROW, *columns])
    position = rows.column(ROW).to_numpy().astype(np.int64)
    train, validation = (_bits(mask, position) for mask in (night.train, night.validation))
    chosen = train | validation
    return rows.select(list(columns)).filter(pa.array(chosen)), validation[chosen]


def _open(night: Night, columns: list[str]) -> pa.Table:
    with night.path.open("rb") as file:
        if file.read(4) != _ENCRYPTED:  # the reader accepts a plaintext file, whatever key it is given
            raise _tampered(night)
    properties = create_decryption_properties(night.key, aad_prefix=night.aad.encode())
    try:
        return pq.read_table(night.path, columns=columns, decryption_properties=properties, partitioning=None)
    except (OSError, pa.ArrowException):
        raise _tampered(night) from None


def _bits(packed: bytes, position: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Mask:
    """Bit `position` of each row; positions beyond the last bit are not set."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little").astype(np.bool_)
    padded = np.append(bits, False)
    return padded[np.minimum(position, len(bits))]


def _tampered(night: Night) -> Tampered:
    return Tampered(
        night.aad,
        need="the encrypted file that was written there",
        got="bytes that its key does not open",
        remedy="Restore the version from a backup, or run its stage again.",
    )
