"""Keys: authenticated encryption of small things and the key-encryption keys that wrap data keys."""

from kedge.keys.keeper import create_keys, open_keys
from kedge.keys.provider import Kek, KeyGone, KeyProvider, Wrapped
from kedge.keys.ring import KeyRing
from kedge.keys.seal import KEY_BYTES, WrongKey, new_key, seal, unseal
from kedge.keys.unlock import Unlocking

__all__ = [
    "KEY_BYTES",
    "Kek",
    "KeyGone",
    "KeyProvider",
    "KeyRing",
    "Unlocking",
    "Wrapped",
    "WrongKey",
    "create_keys",
    "new_key",
    "open_keys",
    "seal",
    "unseal",
]
