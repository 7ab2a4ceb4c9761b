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
