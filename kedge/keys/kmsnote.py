"""What is kept beside keys in AWS KMS: `<KEDGE_KEYS>/<lake id>/kms.json`, the erasure counters of a lake.

It is authenticated (HMAC-SHA256) under a key that KMS wraps; without KMS nobody can write another count.
"""

import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from kedge import durable, faults
from kedge.errors import Conflict, Tampered, Terminal
from kedge.keys.provider import Wrapped
from kedge.spec.canonical import as_written, canonical

faults.register("keys.note", steps=durable.REPLACE)

NOTE = "kms.json"
_LOCK = "kms.lock"
_FORMAT = 1
_FIELDS = {"format", "lake", "mac_key", "erasures", "mac"}
_Content: TypeAlias = dict[str, Any]


class KmsNote:
    """The file of one lake; the caller says how its key is unwrapped."""

    def __init__(self, folder: Path, lake_id: str, unwrap: Callable[[Wrapped], bytes]) -> None:
        self._path, self._lock = folder / NOTE, folder / _LOCK
        self._lake_id, self._unwrap = lake_id, unwrap

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of those who change keys or counters of this lake on this machine."""
        with durable.storage("KEDGE_KEYS"):
            durable.make_folder(self._path.parent, mode=0o700)
            with durable.lock(self._lock):
                yield

    def create(self, key: bytes, wrapped: Wrapped) -> None:
        """Make the file, authenticated under `key`; the caller holds the lock."""
        new = {"format": _FORMAT, "lake": self._lake_id, "mac_key": dict(wrapped), "erasures": {}}
        self._write(new, key)

    def refuse_existing(self) -> None:
        """Refuse to make keys for a lake that has some.

        Raises:
            Conflict: there is a file.
        """
        if self._path.exists():
            raise Conflict("KEDGE_KEYS", need="a new lake", got="a file for its id", remedy="Run it again.")

    def check(self) -> None:
        """Look whether the file is there and this lake's; asks nothing of KMS.

        Raises:
            Terminal: it is missing.
            Tampered: it is another file.
        """
        self._parsed()

    def erasures(self, pipeline: str) -> int:
        """How many erasures were counted.

        Raises:
            Tampered: the file was edited.
        """
        return int(self._verified()[0]["erasures"].get(pipeline, 0))

    def count_erasure(self, pipeline: str) -> int:
        """Count one more; returns the new number."""
        with self.locked():
            content, key = self._verified()
            counted: int = content["erasures"].get(pipeline, 0) + 1
            content["erasures"][pipeline] = counted
            self._write(content, key)
        return counted

    def _write(self, content: _Content, key: bytes) -> None:
        durable.sweep(self._path.parent)
        data = json.dumps({**content, "mac": _mac(content, key)}, indent=1, sort_keys=True).encode()
        durable.replace(self._path, data, mode=0o600, point="keys.note")

    def _verified(self) -> tuple[_Content, bytes]:
        content = self._parsed()
        mac, key = str(content.pop("mac")), self._unwrap(content["mac_key"])
        with suppress(TypeError, ValueError):  # texts and numbers that kedge never wrote
            if hmac.compare_digest(mac, _mac(content, key)):
                return content, key
        raise self._tampered("one that was edited")

    def _parsed(self) -> _Content:
        try:
            content: _Content = as_written(self._path.read_bytes())
            fits = set(content) == _FIELDS and (content["format"], content["lake"]) == (_FORMAT, self._lake_id)
        except FileNotFoundError:
            raise Terminal(
                "KEDGE_KEYS",
                need=f"the file of lake {self._lake_id} ({self._path})",
                got="no such file",
                remedy="Point KEDGE_KEYS at the folder it was made in, or restore it from a backup.",
            ) from None
        except (ValueError, KeyError, TypeError):
            fits = False
        if fits:
            return content
        raise self._tampered("other bytes, or that of another lake")

    def _tampered(self, got: str) -> Tampered:
        need, remedy = f"the erasure counters of lake {self._lake_id}", "Restore the file from its backup."
        return Tampered(f"KEDGE_KEYS ({NOTE})", need=need, got=got, remedy=remedy, part="ring")


def _mac(content: Mapping[str, Any], key: bytes) -> str:
    return hmac.digest(key, canonical(content), "sha256").hex()
