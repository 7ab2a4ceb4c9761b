"""The file of a key ring: read when it changed, authenticated as a whole, replaced in one step under its lock."""

import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

from kedge import durable, faults
from kedge.errors import Conflict, Tampered, Terminal
from kedge.keys.seal import WrongKey, seal, unseal
from kedge.keys.unlock import Unlocked, Unlocking, refuse_readable
from kedge.spec.canonical import as_written, canonical

faults.register("keys.ring", steps=durable.REPLACE)

RING = "ring.json"
SETTING = "KEDGE_KEYS (ring.json)"
_LOCK = "ring.lock"
_FORMAT = 2
_FIELDS = {"format", "lake", "unlock", "check", "keys", "erasures", "mac"}
_TYPES = {"mac": str, "unlock": dict, "keys": dict, "erasures": dict}
Content: TypeAlias = dict[str, Any]


class RingState:
    """What the ring held at one moment, with the key-encryption keys that were opened since. Prints nothing of them.

    Attributes:
        content: authenticated; not to be changed.
    """

    def __init__(self, content: Content, unlocked: Unlocked) -> None:
        self.content, self._unlocked = content, unlocked
        self._opened: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return "RingState(***)"

    def slot(self, owner: str) -> Content:
        """Entry of `<pipeline>/<zone>`; empty when it has none."""
        found: Content = self.content["keys"].get(owner, {})
        return found

    def secret(self, owner: str, kek: str) -> bytes:
        """The key-encryption key itself; `kek` is held and not destroyed."""
        if kek not in self._opened:
            sealed = bytes.fromhex(self.slot(owner)["keys"][kek]["sealed"])
            context = sealed_for(self.content["lake"], owner, kek)
            self._opened[kek] = unseal(self._unlocked.seal, sealed, context, what=SETTING)
        return self._opened[kek]


class RingFile:
    """`<folder>/ring.json`, under the lock `<folder>/ring.lock`."""

    def __init__(self, folder: Path, lake_id: str, unlocking: Unlocking) -> None:
        self.folder, self._lake_id, self._unlocking = folder, lake_id, unlocking
        self._seen: tuple[tuple[int, ...], RingState] | None = None
        self._unlocked: tuple[tuple[Content, object], Unlocked] | None = None

    def create(self) -> None:
        """Make the empty ring and, unless it is there or a passphrase is used, its key file.

        Raises:
            Conflict: there is a ring already.
            Terminal: the key file or passphrase cannot be used.
        """
        with durable.storage("KEDGE_KEYS"):
            durable.make_folder(self.folder, mode=0o700)
            with durable.lock(self.folder / _LOCK):
                if (self.folder / RING).exists():
                    raise Conflict("KEDGE_KEYS", need="a new lake", got="a ring for its id", remedy="Run it again.")
                described = self._unlocking.describe(self.folder)
                unlocked = self._unlocking.unlock(described, self.folder, self._lake_id)
                new = {"format": _FORMAT, "lake": self._lake_id, "unlock": described, "check": unlocked.check}
                self._write({**new, "keys": {}, "erasures": {}}, unlocked)

    def state(self) -> RingState:
        """The ring as it is now: another process may have added, rotated or destroyed a key.

        Raises:
            Terminal: it is missing, of another format, or readable by others; or it cannot be unlocked.
            WrongKey: the passphrase or key file is not that of this ring.
            Tampered: it was edited, or is no key ring, or that of another lake.
        """
        try:
            now = _stamp((self.folder / RING).stat())
        except FileNotFoundError:
            raise self._missing() from None
        seen = self._seen
        if seen is None or seen[0] != now:
            self._seen = seen = self._read()
        return seen[1]

    @contextmanager
    def changing(self) -> Iterator[tuple[Content, Unlocked]]:
        """Hold the lock and write what the caller makes of the content, unless the block raises or changes nothing."""
        with durable.storage("KEDGE_KEYS"), durable.lock(self.folder / _LOCK):
            _, state = self._read()  # never from memory: what another writer did must not be undone
            content = deepcopy(state.content)
            unlocked = self._unlock(content)
            self._unlocking.settle(self.folder, self._lake_id, content["check"])
            yield content, unlocked
            if content != state.content:
                self._write(content, unlocked)

    def relock(self, new: Unlocking) -> None:
        """Seal every key-encryption key anew under another unlocking key, in one step of the ring.

        The new key is on the disk before the ring that needs it, and the present one stays until that ring is there:
        killed at any point, the ring opens with a key file that lies where it is looked for.

        Raises:
            Terminal: the new key file or passphrase cannot be used, or is the present one.
        """
        with durable.storage("KEDGE_KEYS"), durable.lock(self.folder / _LOCK):
            _, state = self._read()
            content = deepcopy(state.content)
            self._unlocking.settle(self.folder, self._lake_id, content["check"])
            described, unlocked = new.succeed(self._unlocking, self.folder, self._lake_id)
            if described["by"] == content["unlock"]["by"] and self._same(new, content):
                need, got = "a new key file or passphrase", "the one that unlocks the ring now"
                raise Terminal("kedge keys relock", need=need, got=got, remedy="Name another file.")
            for owner, slot in content["keys"].items():
                for kek, entry in slot["keys"].items():
                    if "sealed" in entry:
                        context = sealed_for(self._lake_id, owner, kek)
                        entry["sealed"] = seal(unlocked.seal, state.secret(owner, kek), context).hex()
            self._write({**content, "unlock": described, "check": unlocked.check}, unlocked)
            self._unlocking, self._unlocked, self._seen = new, None, None
            new.settle(self.folder, self._lake_id, unlocked.check)

    def _same(self, new: Unlocking, content: Content) -> bool:
        present: object = content["check"]
        return new != Unlocking() and new.unlock(content["unlock"], self.folder, self._lake_id).check == present

    def _write(self, content: Content, unlocked: Unlocked) -> None:
        durable.sweep(self.folder)
        data = json.dumps({**content, "mac": unlocked.mac(canonical(content))}, indent=1, sort_keys=True).encode()
        durable.replace(self.folder / RING, data, mode=0o600, point="keys.ring")

    def _read(self) -> tuple[tuple[int, ...], RingState]:
        """The ring and its stamp; once more where it was sealed under another key between the two files' reads."""
        with suppress(WrongKey):
            return self._read_once()
        return self._read_once()

    def _read_once(self) -> tuple[tuple[int, ...], RingState]:
        try:
            handle = os.open(self.folder / RING, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise self._missing() from None
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            refuse_readable(self.folder / RING, found)
            refuse_readable(self.folder, self.folder.stat())
            content = self._parsed(file.read())
        unlocked = self._unlock(content)
        if not _authentic(content, content.pop("mac"), unlocked):
            raise self._not_authentic(content, unlocked)
        return _stamp(found), RingState(content, unlocked)

    def _parsed(self, data: bytes) -> Content:
        lake = form = None
        try:
            content: Content = as_written(data)
            lake, form = content["lake"], content.get("format")
            complete = set(content) == _FIELDS and all(isinstance(content[n], t) for n, t in _TYPES.items())
        except (ValueError, KeyError, TypeError):
            complete = None
        if lake is not None and lake != self._lake_id:
            raise self._tampered("the key ring of another lake")
        if lake is not None and form != _FORMAT:
            need, got = f"a key ring of format {_FORMAT}", "one of another format"
            remedy = "Use the version of kedge that made it, or begin a new lake: rings are not converted."
            raise Terminal(SETTING, need=need, got=got, remedy=remedy)
        if not complete:
            raise self._tampered("bytes that are no key ring")
        return content

    def _unlock(self, content: Content) -> Unlocked:
        described, check = content["unlock"], content["check"]
        if self._unlocked is None or self._unlocked[0] != (described, check):
            unlocked = self._unlocking.unlock(described, self.folder, self._lake_id, check)
            self._unlocked = (described, check), unlocked
        return self._unlocked[1]

    def _not_authentic(self, content: Content, unlocked: Unlocked) -> Tampered:
        """Tell a wrong passphrase or key file from an edited ring: the right one still opens something of it."""
        if content["check"] == unlocked.check or _opens_one(content, unlocked):
            return self._tampered("one that was edited")
        return WrongKey(
            SETTING,
            need="the passphrase or key file that this ring was made with",
            got="another one, or a ring whose note about it was edited",
            remedy="Look at KEDGE_KEYS_PASSPHRASE_FILE or KEDGE_KEYS_KEY_FILE; otherwise restore the ring's backup.",
            part="key",
        )

    def _tampered(self, got: str) -> Tampered:
        need, remedy = f"the key ring of lake {self._lake_id}", "Restore the ring of this lake from its backup."
        return Tampered(SETTING, need=need, got=got, remedy=remedy, part="ring")

    def _missing(self) -> Terminal:
        return Terminal(
            "KEDGE_KEYS",
            need=f"the key ring of lake {self._lake_id} ({self.folder / RING})",
            got="no such file",
            remedy="Point KEDGE_KEYS at the folder it was made in, or restore it: the lake is unreadable without.",
        ).of("key")


def sealed_for(lake_id: str, owner: str, kek: str) -> bytes:
    """What a sealed key-encryption key is tied to: it opens only in its own ring and slot."""
    return f"{lake_id}/{owner}/{kek}".encode()


def _authentic(content: Content, mac: str, unlocked: Unlocked) -> bool:
    try:
        return hmac.compare_digest(mac, unlocked.mac(canonical(content)))
    except (TypeError, ValueError):  # texts and numbers that kedge never wrote
        return False


def _opens_one(content: Content, unlocked: Unlocked) -> bool:
    try:
        slots = [(owner, kek, entry) for owner, slot in content["keys"].items() for kek, entry in slot["keys"].items()]
        sealed = [(owner, kek, bytes.fromhex(entry["sealed"])) for owner, kek, entry in slots if "sealed" in entry]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return any(_opens(unlocked, secret, sealed_for(content["lake"], owner, kek)) for owner, kek, secret in sealed)


def _opens(unlocked: Unlocked, sealed: bytes, context: bytes) -> bool:
    try:
        unseal(unlocked.seal, sealed, context, what=SETTING)
    except WrongKey:
        return False
    return True


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
