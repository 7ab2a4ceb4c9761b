"""Keys: authenticated encryption of small things and the ring of key-encryption keys that wraps data keys."""

from kedge.keys.provider import KeyProvider, Wrapped
from kedge.keys.ring import KeyRing
from kedge.keys.seal import KEY_BYTES, WrongKey, new_key, seal, unseal

__all__ = ["KEY_BYTES", "KeyProvider", "KeyRing", "Wrapped", "WrongKey", "new_key", "seal", "unseal"]
