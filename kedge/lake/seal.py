"""Keyed seals of small readable files: whoever edits one, or puts that of another place there, lacks the key."""

import hmac
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from kedge.spec.canonical import canonical

FIELD = "seal"


def sealed(body: Mapping[str, Any], secret: bytes, purpose: bytes, place: str = "") -> dict[str, Any]:
    """`body` with its seal in the field `seal`.

    Args:
        secret: 32 bytes, the pipeline's `digest` secret.
        purpose: at most 16 bytes; the seal of one kind of file is none for another.
        place: where the file lies, if `body` does not say so itself.
    """
    return {**body, FIELD: _mac(body, secret, purpose, place)}


def opened(found: Mapping[str, Any], secret: bytes, purpose: bytes, place: str = "") -> dict[str, Any] | None:
    """The body again; None when the seal is missing or is not that of this body and place."""
    body = {name: value for name, value in found.items() if name != FIELD}
    seal = str(found.get(FIELD, "")).encode()
    return body if hmac.compare_digest(seal, _mac(body, secret, purpose, place).encode()) else None


def _mac(body: Mapping[str, Any], secret: bytes, purpose: bytes, place: str) -> str:
    data = place.encode() + b"\0" + canonical(body)
    return blake2b(data, key=secret, digest_size=32, person=purpose).hexdigest()
