"""What the lake needs from whoever keeps the key-encryption keys: a key ring in a folder, or a key service."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from kedge.errors import Part, Terminal

Wrapped: TypeAlias = Mapping[str, Any]
"""A wrapped data key as JSON: `kek` (id of the key-encryption key) and `wrapped` (base64)."""


class KeyGone(Terminal):
    """The key-encryption key is not here: destroyed, or never held by this provider."""

    part: Part | None = "key"


@dataclass(frozen=True, kw_only=True)
class Kek:
    """A key-encryption key, without the key.

    Attributes:
        pipeline, zone: whose.
        id: as named in wrapped keys.
        created: ISO 8601, UTC.
        current: whether new data keys are wrapped under it.
        destroyed: since when it is gone (ISO 8601, UTC); None while it opens what it wrapped.
    """

    pipeline: str
    zone: str
    id: str
    created: str
    current: bool
    destroyed: str | None


Announce: TypeAlias = Callable[[Kek], None]


class KeyProvider(Protocol):
    """Wraps data keys; the key-encryption keys themselves never leave it.

    Attributes:
        announce: called with every key that `wrap` or `rewrap` had to make, after the provider's own lock was let
            go; None calls nobody.
        trusted_seconds: how long a pipeline's secrets may be used without asking again; 0 where asking costs nothing.
            Keys of data are asked for each time.
    """

    announce: Announce | None
    trusted_seconds: float

    def wrap(self, pipeline: str, zone: str, key: bytes, context: bytes) -> Wrapped:
        """Wrap `key` under the current key-encryption key of (pipeline, zone), making one when there is none."""
        ...

    def unwrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key again.

        Raises:
            KeyGone: the key-encryption key is not here: destroyed, or the provider belongs to another lake.
            Tampered: the wrapped key was altered or moved from another place.
        """
        ...

    def rewrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> Wrapped:
        """The same data key under the current key-encryption key; unchanged if it already is.

        Raises:
            KeyGone, Tampered: as `unwrap`.
        """
        ...

    def rotate(self, pipeline: str, zone: str) -> str:
        """Make a new current key-encryption key and keep the old ones for unwrapping; returns its id."""
        ...

    def destroy(self, pipeline: str, zone: str, kek: str) -> None:
        """Make a key-encryption key unusable for good; one that is destroyed already stays so.

        Everything it wraps is unreadable from now on. The caller knows whether something still needs it.

        Raises:
            KeyGone: there was never such a key.
        """
        ...

    def keys(self, pipeline: str | None = None) -> list[Kek]:
        """Every key-encryption key there is or was, by pipeline, zone and date; of one pipeline if it is named."""
        ...

    def erasures(self, pipeline: str) -> int:
        """How many erasures were counted: a lake that counts fewer was restored from an older backup."""
        ...

    def count_erasure(self, pipeline: str) -> int:
        """Count one more; returns the new number."""
        ...
