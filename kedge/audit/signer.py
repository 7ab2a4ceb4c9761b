"""The key that signs the checkpoints of one pipeline: an Ed25519 seed, wrapped by the key provider, zone `audit`."""

import json
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.audit.checkpoint import verifier_key
from kedge.errors import Tampered
from kedge.keys import KeyProvider, WrongKey, new_key
from kedge.keys.keyfile import unwrap_latest
from kedge.spec.canonical import as_written

faults.register("audit.signer", steps=durable.REPLACE)

ZONE = "audit"
FILE = "signer.json"
_FORMAT = 1


class Signer:
    """Signs for `kedge/<lake id>/<pipeline>`. Prints nothing of its key.

    Attributes:
        name: origin of the checkpoints and name of the key.
        vkey: its verifier key, which may be handed to anybody.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = verifier_key(name, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.name})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a signer does not travel between processes: open the log there")

    @classmethod
    def open(cls, folder: Path, pipeline: str, lake_id: str, keys: KeyProvider) -> "Signer":
        """The signer of the log in `folder`.

        Raises:
            Tampered: `signer.json` is missing or is not that of this log.
            Terminal: its key-encryption key is gone.
        """
        content = _parse(folder, pipeline)
        try:
            seed = unwrap_latest(
                lambda: _parse(folder, pipeline)["wrapped"],
                lambda wrapped: keys.unwrap(pipeline, ZONE, wrapped, context(pipeline)),
            )
        except WrongKey as error:
            raise error.of("keys") from None
        signer = cls(f"kedge/{lake_id}/{pipeline}", seed)
        if signer.vkey != content["vkey"]:
            raise _damaged(pipeline, "a verifier key that is not that of the signer")
        return signer

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        return self._key.sign(data)


def draft(pipeline: str, lake_id: str, keys: KeyProvider) -> tuple[Signer, bytes]:
    """A new signer, and the bytes of its file. Not under the lock of the log: a new key may want to be logged."""
    seed = new_key()
    signer = Signer(f"kedge/{lake_id}/{pipeline}", seed)
    wrapped = keys.wrap(pipeline, ZONE, seed, context(pipeline))
    content = {"format": _FORMAT, "pipeline": pipeline, "vkey": signer.vkey, "wrapped": dict(wrapped)}
    return signer, json.dumps(content, indent=1).encode()


def store(folder: Path, data: bytes) -> None:
    """Write `signer.json`; the caller holds the lock of the log."""
    durable.sweep(folder)
    durable.replace(folder / FILE, data, mode=0o600, point="audit.signer")


def context(pipeline: str) -> bytes:
    """What the wrapped seed is tied to."""
    return f"{ZONE}/{pipeline}/{FILE}".encode()


def _parse(folder: Path, pipeline: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = as_written((folder / FILE).read_bytes())
        ours = content["format"] == _FORMAT and content["pipeline"] == pipeline
        ours = ours and isinstance(content["vkey"], str) and "wrapped" in content
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    if not ours:
        raise _damaged(pipeline, "no such file, or bytes that are not it")
    return content


def _damaged(pipeline: str, got: str) -> Tampered:
    return Tampered(
        f"audit/{pipeline}/{FILE}",
        need="the wrapped signing key of this log",
        got=got,
        remedy="Restore the file from a backup: a new key could not continue the log.",
        part="keys",
    )
