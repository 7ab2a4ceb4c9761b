"""Sealing what the training process leaves: AES-256-GCM (NIST SP 800-38D) with nothing else of kedge behind it.

`kedge.keys` does the same for keys; it brings the declaration and the key ring, which have no business here.
"""

import os
from contextlib import suppress

from kedge.errors import Tampered

_NONCE_BYTES = 12


def seal(key: bytes, data: bytes, name: str) -> bytes:
    """Encrypt and authenticate a file.

    Args:
        key: 32 bytes.
        name: of the file; under another name it does not open.

    Returns:
        nonce (12 bytes, random) + ciphertext + tag (16 bytes).
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, _context(name))


def unseal(key: bytes, sealed: bytes, name: str) -> bytes:
    """Open what `seal` made.

    Raises:
        Tampered: it was made with another key or name, or altered.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with suppress(InvalidTag, ValueError):  # the error below is not chained to one whose frames hold the key
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _context(name))
    raise Tampered(
        f"{name} of the training process",
        need="what the training process sealed",
        got="altered bytes, or bytes from elsewhere",
        remedy="Train again; if it happens again, find out who else writes there.",
    )


def _context(name: str) -> bytes:
    return f"kedge/training/{name}".encode()
