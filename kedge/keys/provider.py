"""What the lake needs from whoever keeps the key-encryption keys: a folder today, a key management service later."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

Wrapped: TypeAlias = Mapping[str, Any]
"""A wrapped data key as JSON: `kek` (id of the key-encryption key) and `wrapped` (base64)."""


class KeyProvider(Protocol):
    """Wraps data keys; the key-encryption keys themselves never leave it."""

    def wrap(self, pipeline: str, zone: str, key: bytes, context: bytes) -> Wrapped:
        """Wrap `key` under the current key-encryption key of (pipeline, zone), making one on first use."""
        ...

    def unwrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key again.

        Raises:
            Terminal: the key-encryption key is not here: destroyed, or the provider belongs to another lake.
            Tampered: the wrapped key was altered or moved from another place.
        """
        ...

    def rewrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> Wrapped:
        """The same data key under the current key-encryption key; unchanged if it already is."""
        ...
