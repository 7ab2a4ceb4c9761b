"""The key ring of one lake: `<KEDGE_KEYS>/<lake id>/ring.json`, one key-encryption key per (pipeline, zone).

It lies outside `KEDGE_HOME`, so that a copy of the data never holds its keys, and each of its keys is sealed under an
unlocking key (`kedge.keys.unlock`). Rotation adds a key and re-wraps data keys; destroying a key makes every copy of
what it wraps unreadable, backups included, as long as no older copy of the ring is kept.
"""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedge.errors import Tampered
from kedge.keys.provider import Announce, Kek, KeyGone, Wrapped
from kedge.keys.ringfile import Content, RingFile, RingState, sealed_for
from kedge.keys.seal import new_key, seal, unseal
from kedge.keys.unlock import Unlocked, Unlocking

_Slot = dict[str, Any]


class KeyRing:
    """A key provider whose keys are in a file that only its owner can read (0600 in a folder 0700).

    Attributes:
        announce, trusted_seconds: see `kedge.keys.provider.KeyProvider`.
    """

    trusted_seconds = 0.0

    def __init__(self, folder: Path, lake_id: str, unlocking: Unlocking) -> None:
        self.announce: Announce | None = None
        self._lake_id = lake_id
        self._file = RingFile(folder / lake_id, lake_id, unlocking)

    def __repr__(self) -> str:
        return f"KeyRing({self._lake_id})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key ring does not travel between processes: open the lake there")

    @classmethod
    def create(cls, folder: Path, lake_id: str, unlocking: Unlocking | None = None) -> "KeyRing":
        """Make the empty ring of a new lake below `folder`.

        Raises:
            Conflict: there is one already.
            Terminal: the key file or the passphrase cannot be used.
        """
        ring = cls(folder, lake_id, unlocking or Unlocking())
        ring._file.create()
        return ring

    @classmethod
    def open(cls, folder: Path, lake_id: str, unlocking: Unlocking | None = None) -> "KeyRing":
        """Open the ring of an existing lake.

        Raises:
            Terminal: it is missing (never made anew: the data would stay unreadable), or others than its owner may
                read it; or its key file or passphrase is missing.
            WrongKey: the key file or passphrase is that of another ring.
            Tampered: the ring was edited, or belongs to another lake.
        """
        ring = cls(folder, lake_id, unlocking or Unlocking())
        ring._file.state()
        return ring

    def wrap(self, pipeline: str, zone: str, key: bytes, context: bytes) -> Wrapped:
        """Wrap a data key under the current key-encryption key of (pipeline, zone), making one when there is none."""
        owner = f"{pipeline}/{zone}"
        state = self._with_current(pipeline, zone)
        kek = state.slot(owner)["current"]
        sealed = seal(state.secret(owner, kek), key, _bound(pipeline, zone, kek, context))
        return {"kek": kek, "wrapped": base64.b64encode(sealed).decode()}

    def unwrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> bytes:
        """The data key again.

        Raises:
            KeyGone: the ring does not hold its key-encryption key.
            Tampered: the wrapped key was altered or comes from another place.
        """
        what = f"wrapped key of {context.decode(errors='replace')}"
        kek, sealed = _parsed(wrapped, what)
        state, owner = self._file.state(), f"{pipeline}/{zone}"
        entry = state.slot(owner).get("keys", {}).get(kek)
        if entry is None or "sealed" not in entry:
            raise _gone(pipeline, zone, entry)
        return unseal(state.secret(owner, kek), sealed, _bound(pipeline, zone, kek, context), what=what)

    def rewrap(self, pipeline: str, zone: str, wrapped: Wrapped, context: bytes) -> Wrapped:
        """The same data key under the current key-encryption key; `wrapped` itself if it already is."""
        if wrapped["kek"] == self._with_current(pipeline, zone).slot(f"{pipeline}/{zone}")["current"]:
            return wrapped
        return self.wrap(pipeline, zone, self.unwrap(pipeline, zone, wrapped, context), context)

    def rotate(self, pipeline: str, zone: str) -> str:
        """Make a new current key-encryption key and keep the old ones for unwrapping; returns its id."""
        with self._file.changing() as (content, unlocked):
            return self._add(content, unlocked, f"{pipeline}/{zone}")

    def destroy(self, pipeline: str, zone: str, kek: str) -> None:
        """Take a key-encryption key out of the ring; its id and dates stay. Done already: nothing happens.

        A destroyed current key has no successor before something is wrapped again.

        Raises:
            KeyGone: the ring never held it.
        """
        with self._file.changing() as (content, _):
            slot: _Slot = content["keys"].get(f"{pipeline}/{zone}", {"keys": {}})
            entry = slot["keys"].get(kek)
            if entry is None:
                raise _gone(pipeline, zone, None)
            if entry.pop("sealed", None) is not None:
                entry["destroyed"] = _now()
            if slot["current"] == kek:
                slot["current"] = None

    @property
    def lock(self) -> str:
        """Names the unlocking key that the ring opens with now; tells nothing of it."""
        return str(self._file.state().content["check"])[:16]

    def relock(self, new: Unlocking) -> None:
        """Seal every key anew under another unlocking key; data keys and key-encryption keys stay.

        Args:
            new: a key file (made if it is missing) or a passphrase; `Unlocking()`: a fresh key in place of the one
                beside the ring.

        Raises:
            Terminal: it cannot be used, or is the present one.
        """
        self._file.relock(new)

    def keys(self, pipeline: str | None = None) -> list[Kek]:
        """Every key-encryption key there is or was, by pipeline, zone and date."""
        slots = self._file.state().content["keys"]
        found = [
            _kek(owner, slot, kek)
            for owner, slot in slots.items()
            for kek in slot["keys"]
            if pipeline is None or owner.partition("/")[0] == pipeline
        ]
        return sorted(found, key=lambda kek: (kek.pipeline, kek.zone, kek.created, kek.id))

    def erasures(self, pipeline: str) -> int:
        """How many erasures were counted."""
        return int(self._file.state().content["erasures"].get(pipeline, 0))

    def count_erasure(self, pipeline: str) -> int:
        """Count one more; returns the new number."""
        with self._file.changing() as (content, _):
            counted: int = content["erasures"].get(pipeline, 0) + 1
            content["erasures"][pipeline] = counted
        return counted

    def _with_current(self, pipeline: str, zone: str) -> RingState:
        """The ring's state with a current key of (pipeline, zone); of several that need one, one makes it."""
        owner, made = f"{pipeline}/{zone}", None
        while not (state := self._file.state()).slot(owner).get("current"):
            with self._file.changing() as (content, unlocked):
                if not content["keys"].get(owner, {}).get("current"):
                    made = self._add(content, unlocked, owner)
        if made and self.announce:
            self.announce(_kek(owner, state.slot(owner), made))
        return state

    def _add(self, content: Content, unlocked: Unlocked, owner: str) -> str:
        kek = f"k{secrets.token_hex(8)}"
        slot: _Slot = content["keys"].setdefault(owner, {"keys": {}})
        sealed = seal(unlocked.seal, new_key(), sealed_for(self._lake_id, owner, kek))
        slot["keys"][kek] = {"sealed": sealed.hex(), "created": _now()}
        slot["current"] = kek
        return kek


def _kek(owner: str, slot: _Slot, kek: str) -> Kek:
    pipeline, _, zone = owner.partition("/")
    entry = slot["keys"][kek]
    current, destroyed = slot["current"] == kek, entry.get("destroyed")
    return Kek(pipeline=pipeline, zone=zone, id=kek, created=entry["created"], current=current, destroyed=destroyed)


def _gone(pipeline: str, zone: str, entry: _Slot | None) -> KeyGone:
    if entry is None:
        got = "a ring that never held it: a ring of another lake, or a copy from before it was made"
        remedy = "Restore the ring from its backup."
    else:
        got, remedy = f"a key that was destroyed at {entry['destroyed']}", "What it wrapped is gone for good."
    return KeyGone(f"{pipeline}/{zone}", need="its key-encryption key in the key ring", got=got, remedy=remedy)


def _parsed(wrapped: Wrapped, what: str) -> tuple[str, bytes]:
    try:
        return str(wrapped["kek"]), base64.b64decode(wrapped["wrapped"], validate=True)
    except (KeyError, TypeError, ValueError):
        remedy = "Restore the file from a backup."
        raise Tampered(what, need="a wrapped key", got="something else", remedy=remedy, part="keys") from None


def _bound(pipeline: str, zone: str, kek: str, context: bytes) -> bytes:
    """What a wrapped key is tied to: it opens only for the same owner, key and place."""
    return f"{pipeline}/{zone}/{kek}/".encode() + context


def _now() -> str:
    return datetime.now(UTC).isoformat()
