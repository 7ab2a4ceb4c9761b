"""Encrypted files that are no frames (a model, a report): AES-256-GCM, tied to their place like Parquet files."""

from kedge.keys import seal, unseal

MAGIC = b"KDGB"


def seal_blob(data: bytes, key: bytes, aad: bytes) -> bytes:
    """The bytes to store."""
    return MAGIC + seal(key, data, MAGIC + aad)


def open_blob(stored: bytes, key: bytes, aad: bytes) -> bytes:
    """The plaintext again.

    Raises:
        Tampered: wrong key, altered bytes or another place.
    """
    return unseal(key, stored[len(MAGIC) :], MAGIC + aad, what=aad.decode())
