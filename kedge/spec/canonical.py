"""Canonical JSON and its digest: equal things give equal bytes, on every machine and in every release."""

import hashlib
import json
from typing import Any


def canonical(obj: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, no NaN.

    Raises:
        ValueError: a float is not finite.
        TypeError: something is no JSON type.
    """
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(obj: Any) -> str:
    """SHA-256 of the canonical form, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(obj)).hexdigest()


def as_written(data: bytes) -> Any:
    """What stored JSON says, if the bytes are those that `json.dumps` makes of it, with or without `indent=1`.

    A reader that only parses takes other spacing, and a name that is there twice (RFC 8259 leaves open which counts).

    Raises:
        ValueError: they are not, or are no JSON.
    """
    found = json.loads(data)
    for indent in (1, None):
        for ascii_only in (False, True):
            if json.dumps(found, indent=indent, ensure_ascii=ascii_only).encode() == data:
                return found
    raise ValueError("bytes that kedge does not write")
