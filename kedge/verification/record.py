"""What the audit trail says is stored: the last word about each pointer, version, decision and key."""

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.audit.lines import LOG

_COMMITS = frozenset({"commit", "repoint", "attempt"})
_DECISIONS = frozenset({"promote", "refuse", "needs_approval", "rollback"})

Place = tuple[str, str, str]
"""Zone, dataset, partition."""


@dataclass(frozen=True)
class Current:
    """Which version is current, and how many moves led to it."""

    version: str
    sequence: int


class Record:
    """A sound log, read once; `update` reads what was written since.

    Attributes:
        pointers: what was made current last.
        digests: content digests that a version may have: that of its last commit, and of those cut off since.
        stored: versions that were stored; one that is written anew, or was until the writer failed, may be gone.
        decisions: digest of each decision's file by number.
        keys: by (zone, id) whether a key-encryption key is still held; destroyed ones are not.
        given_up: zones of which a key was destroyed together with its data.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._offset, self._number = folder / LOG, 0, 0
        self._reading = threading.Lock()
        self._open: dict[int, Mapping[str, Any]] = {}
        self._replaced: set[int] = set()
        self._applied: dict[Place | tuple[Place, str], int] = {}
        self.pointers: dict[Place, Current] = {}
        self.digests: dict[tuple[Place, str], set[str]] = {}
        self.stored: set[tuple[Place, str]] = set()
        self.decisions: dict[int, str] = {}
        self.keys: dict[tuple[str, str], bool] = {}
        self.given_up: set[str] = set()
        self.update()

    def update(self) -> bool:
        """Read what was written since the last look; whether there was anything."""
        with self._reading:
            return self._read()

    def _read(self) -> bool:
        before = self._number
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._take(json.loads(line))
                self._offset += len(line)
                self._number += 1
        return self._number > before

    def becoming(self, place: Place) -> Iterator[Current]:
        """What changes that have no outcome yet would make current."""
        for intent in list(self._open.values()):
            if intent["action"] in _COMMITS and _place(intent) == place and intent["released"]:
                yield Current(intent["version"], intent["sequence"] + 1)

    def deciding(self) -> dict[int, str]:
        """Decisions that have no outcome yet, as `decisions`."""
        return {i["number"]: i["record"] for i in list(self._open.values()) if i["action"] in _DECISIONS}

    def destroying(self) -> set[tuple[str, str]]:
        """Keys, as in `keys`, whose destruction has no outcome yet."""
        return {(i["zone"], i["kek"]) for i in list(self._open.values()) if i["action"] == "keys.destroy"}

    def _take(self, entry: Mapping[str, Any]) -> None:
        if entry["phase"] == "intent":
            self._open[self._number] = entry
            if entry["action"] in _COMMITS:
                self._begun(entry)
        elif entry["phase"] == "outcome":
            intent = self._open.pop(entry["of"], None)
            if entry["of"] in self._replaced:
                self._replaced.discard(entry["of"])
                if intent is not None and entry["result"] == "conflict":  # told before anything is written
                    self.stored.add((_place(intent), intent["version"]))
            if intent is not None and entry["result"] == "done":
                self._done(entry["of"], intent, {**intent, **entry})
        elif entry["action"] == "keys.create":
            self.keys[entry["zone"], entry["kek"]] = True

    def _done(self, number: int, intent: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
        action = intent["action"]
        if action in _COMMITS:
            self._stored(number, intent)
        elif action in _DECISIONS:
            self.decisions[intent["number"]] = intent["record"]
        elif action in ("keys.rotate", "keys.destroy") and "kek" in entry:
            self.keys[entry["zone"], entry["kek"]] = action == "keys.rotate"
            if entry.get("with_data"):
                self.given_up.add(entry["zone"])

    def _begun(self, intent: Mapping[str, Any]) -> None:
        version = _place(intent), intent["version"]
        self.digests.setdefault(version, set()).add(intent["content_digest"])
        if intent["action"] != "repoint" and version in self.stored:
            self.stored.discard(version)
            self._replaced.add(self._number)

    def _stored(self, number: int, intent: Mapping[str, Any]) -> None:
        place, version = _place(intent), intent["version"]
        self.stored.add((place, version))
        if self._newest((place, version), number):
            begun = [i for n, i in self._open.items() if n > number and i["action"] in _COMMITS]
            since = {i["content_digest"] for i in begun if (_place(i), i["version"]) == (place, version)}
            self.digests[place, version] = {intent["content_digest"], *since}
        if intent["released"] and self._newest(place, number):
            self.pointers[place] = Current(version, intent["sequence"] + 1)

    def _newest(self, what: Place | tuple[Place, str], number: int) -> bool:
        """Whether no later change was applied: the outcome of one that was cut off is written after those of others."""
        newest = number > self._applied.get(what, -1)
        if newest:
            self._applied[what] = number
        return newest


def _place(entry: Mapping[str, Any]) -> Place:
    return entry["zone"], entry["dataset"], entry["partition"]
