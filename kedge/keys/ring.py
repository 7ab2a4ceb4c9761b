"""The key ring of one lake: `<KEDGE_KEYS>/<lake id>/ring.json`, one key-encryption key per (pipeline, zone).

It lies outside `KEDGE_HOME`, so that a copy of the data never holds its keys. Rotation adds a key and re-wraps data
keys; destroying a key makes every copy of what it wraps unreadable, backups included.
"""

import base64
import json
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Conflict, Tampered, Terminal
from kedge.keys.provider import Wrapped
from kedge.keys.seal import new_key, seal, unseal

faults.register("keys.ring", steps=durable.REPLACE)

_FORMAT = 1
_RING = "ring.json"
_LOCK = "ring.lock"
_Content = dict[str, Any]


class KeyRing:
    """A key provider whose keys are in a file that only its owner can read (0600 in a folder 0700)."""

    def __init__(self, folder: Path, lake_id: str) -> None:
        self._folder, self._lake_id = folder, lake_id
        self._seen: tuple[int, int, int] | None = None
        self._content: _Content = {}

    def __repr__(self) -> str:
        return f"KeyRing({self._lake_id})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key ring does not travel between processes: open the lake there")

    @classmethod
    def create(cls, folder: Path, lake_id: str) -> "KeyRing":
        """Make the empty ring of a new lake below `folder`.

        Raises:
            Conflict: there is one already.
        """
        ring = cls(folder / lake_id, lake_id)
        with durable.storage("KEDGE_KEYS"):
            durable.make_folder(ring._folder, mode=0o700)
            with durable.lock(ring._folder / _LOCK):
                ring._refuse_existing()
                ring._write({"format": _FORMAT, "lake": lake_id, "keys": {}})
        return ring

    @classmethod
    def open(cls, folder: Path, lake_id: str) -> "KeyRing":
        """Open the ring of an existing lake.

        Raises:
            Terminal: it is missing (never made anew: the data would stay unreadable), belongs to another lake, or
                others than its owner may read it.
        """
        ring = cls(folder / lake_id, lake_id)
        ring._read()
        return ring

    def wrap(self, pipeline: str, zone: str, key: bytes, context: bytes) -> Wrapped:
        """Wrap a data key under the current key-encryption key of (pipeline, zone), making one on first use."""
        kek, secret = self._current(pipeline, zone)
        sealed = seal(secret, key, _bound(pipeline, zone, kek, context))
        return {"kek": kek, "wrapped": base64.b64encode(sealed).decode()}

    def unwrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key again.

        Raises:
            Terminal: the ring does not hold its key-encryption key.
            Tampered: the wrapped key was altered or comes from another place.
        """
        what = f"wrapped key of {context.decode(errors='replace')}"
        kek, sealed = _parsed(wrapped, what)
        secret = self._slot(self._read(), pipeline, zone).get("keys", {}).get(kek)
        if secret is None:
            raise Terminal(
                f"{pipeline}/{zone}",
                need=f"key-encryption key {kek} in the key ring",
                got="a ring without it: the key was destroyed, or the ring is an old copy",
                remedy="Restore the ring from its backup; after a wanted destruction the data are gone for good.",
            )
        return unseal(base64.b64decode(secret["key"]), sealed, _bound(pipeline, zone, kek, context), what=what)

    def rewrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> Wrapped:
        """The same data key under the current key-encryption key; `wrapped` itself if it already is."""
        if wrapped["kek"] == self._current(pipeline, zone)[0]:
            return wrapped
        return self.wrap(pipeline, zone, self.unwrap(pipeline, zone, wrapped, context), context)

    def rotate(self, pipeline: str, zone: str) -> str:
        """Make a new current key-encryption key and keep the old ones for unwrapping; returns its id."""
        with durable.storage("KEDGE_KEYS"), durable.lock(self._folder / _LOCK):
            return self._add(pipeline, zone)

    def _current(self, pipeline: str, zone: str) -> tuple[str, bytes]:
        slot = self._slot(self._read(), pipeline, zone)
        if not slot:
            with durable.storage("KEDGE_KEYS"), durable.lock(self._folder / _LOCK):
                if not self._slot(self._read(), pipeline, zone):
                    self._add(pipeline, zone)
            slot = self._slot(self._read(), pipeline, zone)
        kek = slot["current"]
        return kek, base64.b64decode(slot["keys"][kek]["key"])

    def _add(self, pipeline: str, zone: str) -> str:
        content, kek = self._read(), f"k{secrets.token_hex(8)}"
        slot = content["keys"].setdefault(f"{pipeline}/{zone}", {"keys": {}})
        slot["keys"][kek] = {"key": base64.b64encode(new_key()).decode(), "created": datetime.now(UTC).isoformat()}
        slot["current"] = kek
        self._write(content)
        return kek

    @staticmethod
    def _slot(content: _Content, pipeline: str, zone: str) -> _Content:
        return dict(content["keys"].get(f"{pipeline}/{zone}", {}))

    def _write(self, content: _Content) -> None:
        durable.sweep(self._folder)
        data = json.dumps(content, indent=1, sort_keys=True).encode()
        durable.replace(self._folder / _RING, data, mode=0o600, point="keys.ring")

    def _read(self) -> _Content:
        """The ring as it is now: another process may have added, rotated or destroyed a key."""
        try:
            found = (self._folder / _RING).stat()
        except FileNotFoundError:
            raise self._missing() from None
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            self._refuse_readable(found)
            self._content, self._seen = self._parse(), seen
        content: _Content = json.loads(json.dumps(self._content))
        return content

    def _parse(self) -> _Content:
        try:
            content: _Content = json.loads((self._folder / _RING).read_bytes())
            lake = content["lake"]
        except (ValueError, KeyError, TypeError):
            lake = None
        if lake == self._lake_id:
            return content
        raise Tampered(
            f"KEDGE_KEYS ({_RING})",
            need=f"the key ring of lake {self._lake_id}",
            got="bytes that are no key ring" if lake is None else "the key ring of another lake",
            remedy="Restore the ring of this lake from its backup.",
            part="ring",
        )

    def _missing(self) -> Terminal:
        return Terminal(
            "KEDGE_KEYS",
            need=f"the key ring of lake {self._lake_id} ({self._folder / _RING})",
            got="no such file",
            remedy="Point KEDGE_KEYS at the folder it was made in, or restore it: the lake is unreadable without.",
        )

    def _refuse_existing(self) -> None:
        if (self._folder / _RING).exists():
            raise Conflict("KEDGE_KEYS", need="a new lake", got="a ring for its id", remedy="Run it again.")

    def _refuse_readable(self, ring: os.stat_result) -> None:
        for path, mode in ((self._folder / _RING, ring.st_mode), (self._folder, self._folder.stat().st_mode)):
            if mode & 0o077:
                raise Terminal(
                    str(path),
                    need="a mode that lets only its owner in (0600 for the file, 0700 for the folder)",
                    got=f"{mode & 0o777:04o}",
                    remedy="Run `chmod go= ` on it, and rotate the keys if somebody else may have read them.",
                )


def _parsed(wrapped: Wrapped, what: str) -> tuple[str, bytes]:
    try:
        return str(wrapped["kek"]), base64.b64decode(wrapped["wrapped"], validate=True)
    except (KeyError, TypeError, ValueError):
        remedy = "Restore the file from a backup."
        raise Tampered(what, need="a wrapped key", got="something else", remedy=remedy, part="keys") from None


def _bound(pipeline: str, zone: str, kek: str, context: bytes) -> bytes:
    """What a wrapped key is tied to: it opens only for the same owner, key and place."""
    return f"{pipeline}/{zone}/{kek}/".encode() + context
