"""AES-256-GCM (NIST SP 800-38D) of things that fit into memory: wrapped keys and small files."""

import os
from contextlib import suppress

from kedge.errors import Tampered

KEY_BYTES = 32
_NONCE_BYTES = 12


class WrongKey(Tampered):
    """A ciphertext does not open under this key and context: another key, altered bytes, or moved from elsewhere.

    Its part is `key` until somebody who knows that the key is right says what the bytes belong to.
    """


def new_key() -> bytes:
    """A fresh random key of 256 bits."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt and authenticate `plaintext`; it opens only with the same key and the same context.

    Returns:
        nonce (12 bytes, random) + ciphertext + tag (16 bytes).
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def unseal(key: bytes, sealed: bytes, context: bytes, *, what: str) -> bytes:
    """Open what `seal` made.

    Args:
        what: names the thing in the error.

    Raises:
        WrongKey: it does not open.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    with suppress(InvalidTag, ValueError):  # the error below is not chained to one whose frames hold the key
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    raise WrongKey(
        what,
        need="the key it was encrypted with and the place it was written to",
        got="a wrong key, altered bytes, or bytes from another place",
        remedy="Check that KEDGE_KEYS is the key ring of this lake; otherwise restore the file from a backup.",
        part="key",
    )
