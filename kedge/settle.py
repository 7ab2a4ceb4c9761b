"""Settling what a killed process left open: intents without an outcome, whose writers are gone.

What became of a change is told by what is there: the partition's pointer, the decision's file, the key ring. A change
whose writer holds its lock is left alone; the lock ends with its process, a number of a process would not say so.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.audit.lines import ENDS, LOG
from kedge.audit.trail import change_lock
from kedge.errors import Tampered, Terminal
from kedge.keys import Kek, KeyRing
from kedge.lake import Version, rotation
from kedge.lake.commit import LOCK, happened
from kedge.registry.store import Registry
from kedge.workspace import Workspace

faults.register("audit.settled", steps=("before", "after"))

_NOTE = "settled.json"
_END_BYTES = 8
_OFTEN = 64
"""Entries that are read once more at each start before the note of what is settled is moved on."""

COMMITS = frozenset({"commit", "repoint", "attempt"})
DECISIONS = frozenset({"promote", "refuse", "needs_approval"})

_PLACE = ("pipeline", "zone", "dataset", "partition", "version")
_COMMIT = (*_PLACE, "predecessor", "sequence", "released", "content_digest")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(COMMITS, _COMMIT),
    **dict.fromkeys(DECISIONS, ("number", "record")),
    "keys.rotate": ("zone",),
    "keys.destroy": ("zone", "kek"),
}
"""What an intent has to tell, so that its outcome can be found."""


def settle(ws: Workspace, pipeline: str) -> int:
    """Write the outcome of every change of the pipeline that was cut off; returns how many these were.

    Reads the log from where the last one found everything settled, and nothing if it has not grown since.

    Raises:
        Tampered: the log has a line that is no entry.
        Transient: the log does not take the entries.
    """
    folder = ws.settings.audit / pipeline
    if not (folder / LOG).exists():
        return 0
    tail = Tail(folder)
    tail.read()
    settled = sum(_settled(ws, pipeline, tail, number, intent) for number, intent in list(tail.open.items()))
    tail.note()
    return settled


class Tail:
    """The end of a log, from the last note on: which intents have no outcome.

    Attributes:
        open: intents by entry number.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._noted, self._offset = _noted(folder)
        self._number = self._noted
        self._starts: dict[int, int] = {}
        self._followers: dict[int, Mapping[str, Any]] = {}
        self.open: dict[int, Mapping[str, Any]] = {}

    def read(self) -> None:
        """Read what was written since; a line that is not complete yet is left for the next time.

        Raises:
            Tampered: a line is no entry that kedge wrote.
        """
        with (self._folder / LOG).open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                try:
                    self._take(_entry(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise self._no_entry() from None
                self._offset += len(line)
                self._number += 1

    def next_of(self, number: int) -> Mapping[str, Any] | None:
        """A commit to the same partition that tells of that one: one that began after a further move, or made its."""
        return self._followers.get(number)

    def note(self) -> None:
        """Remember where everything before is settled, once that is far enough; a lost note costs time only."""
        first = min(self.open, default=self._number)
        if first - self._noted < _OFTEN:
            return
        note = {"entry": first, "offset": self._starts.get(first, self._offset)}
        with durable.storage(str(self._folder)):
            faults.reach("audit.settled.before")
            (self._folder / _NOTE).write_text(json.dumps(note))
            faults.reach("audit.settled.after")

    def _no_entry(self) -> Tampered:
        return Tampered(
            f"audit/{self._folder.name}/{LOG}",
            need=f"an entry as number {self._number}",
            got="something else",
            remedy="Run `kedge audit verify`, and restore the log from a backup.",
            part="log",
        )

    def _take(self, entry: Mapping[str, Any]) -> None:
        if entry["phase"] == "intent":
            self._follow(entry)
            self.open[self._number], self._starts[self._number] = entry, self._offset
        elif entry["phase"] == "outcome":
            intent = self.open.pop(entry["of"], None)
            if intent is not None and intent["action"] in COMMITS and entry["result"] == "done" and intent["released"]:
                self._follow(intent, moved=True)

    def _follow(self, entry: Mapping[str, Any], moved: bool = False) -> None:
        """A commit that looked at the pointer before the other one says nothing, unless it made the same move."""
        for number, before in self.open.items():
            if entry["action"] in COMMITS and before["action"] in COMMITS and _partition(entry) == _partition(before):
                further = entry["sequence"] - before["sequence"]
                if further > 0 or (moved and further == 0):
                    self._followers.setdefault(number, entry)


def _entry(line: bytes) -> Mapping[str, Any]:
    """Raises ValueError, KeyError or AttributeError if it is none, or lacks what tells what became of it."""
    entry: dict[str, Any] = json.loads(line)
    if entry["phase"] == "intent":
        datetime.fromisoformat(entry["time"])
        for name in ("config", *_NEEDED.get(entry["action"], ())):
            entry[name]
    return entry


def _partition(commit: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(commit[name] for name in ("zone", "dataset", "partition"))


def _noted(folder: Path) -> tuple[int, int]:
    """Entry and offset of the last note; the beginning when it is missing or is not where the log's lines end."""
    with suppress(FileNotFoundError, ValueError, KeyError, TypeError, OverflowError):
        note = json.loads((folder / _NOTE).read_bytes())
        entry, offset = int(note["entry"]), int(note["offset"])
        if entry > 0 and _end(folder, entry) == offset <= (folder / LOG).stat().st_size:
            return entry, offset
    return 0, 0


def _end(folder: Path, entries: int) -> int | None:
    """Where so many lines end, as the log has noted it; None if it has not."""
    with (folder / ENDS).open("rb") as file:
        file.seek((entries - 1) * _END_BYTES)
        data = file.read(_END_BYTES)
    return int.from_bytes(data) if len(data) == _END_BYTES else None


def _settled(ws: Workspace, pipeline: str, tail: Tail, number: int, intent: Mapping[str, Any]) -> bool:
    """Write one outcome, unless its writer lives, or it was written meanwhile, or nothing says what became of it."""
    with _free(_lock(ws, pipeline, intent)) as free:
        if not free:
            return False
        tail.read()  # between our look and the lock its writer may have come to its end
        if number not in tail.open:
            return False
        try:
            result = _result(ws, pipeline, intent, tail.next_of(number))
        except Terminal:  # what would decide is damaged or its key is gone: it stays open; `kedge verify` says more
            return False
        ws.trail.recovered(pipeline, number, intent, result)
        return True


def _lock(ws: Workspace, pipeline: str, intent: Mapping[str, Any]) -> Path:
    """The lock that the writer of an intent holds from before it until after its outcome."""
    if intent["action"] in COMMITS:
        return _version(ws, intent).path.parent / LOCK
    return change_lock(ws.settings.audit / pipeline, intent["action"])


def _version(ws: Workspace, intent: Mapping[str, Any]) -> Version:
    dataset = ws.lake.dataset(intent["zone"], intent["pipeline"], intent["dataset"])
    return Version(dataset, intent["partition"], intent["version"])


def _result(ws: Workspace, pipeline: str, intent: Mapping[str, Any], later: Mapping[str, Any] | None) -> str:
    if intent["action"] == "hand_out":  # the file is nobody's but the receiver's: it may be there, whole or in part
        return "unknown"
    return "done" if _done(ws, pipeline, intent, later) else "failed"


def _done(ws: Workspace, pipeline: str, intent: Mapping[str, Any], later: Mapping[str, Any] | None) -> bool:
    """Whether the change came about.

    Args:
        later: a later commit to the same partition: it says where the pointer was when it began, or it moved the
            pointer from where the change found it.

    Raises:
        Terminal: what would tell is damaged, or the key to it is gone.
    """
    action = intent["action"]
    if action in COMMITS:
        if later is not None and intent["released"]:
            return bool(later["predecessor"] == intent["version"] and later["sequence"] > intent["sequence"])
        return happened(_version(ws, intent), intent)
    if action in DECISIONS:
        return bool(Registry.open(ws, pipeline).recorded(intent["number"]) == intent["record"])
    if action == "keys.rotate":
        began = datetime.fromisoformat(intent["time"]).replace(microsecond=0)  # a key service counts in seconds
        keys = [kek for kek in ws.lake.keys.keys(pipeline) if kek.zone == intent["zone"]]
        return any(datetime.fromisoformat(kek.created) >= began for kek in keys) and not _behind(ws, pipeline, keys)
    if action == "keys.destroy":
        return any(kek.id == intent["kek"] and kek.destroyed for kek in ws.lake.keys.keys(pipeline))
    if action == "keys.relock":
        return isinstance(ws.lake.keys, KeyRing) and ws.lake.keys.lock != intent["lock"]
    return False  # nothing stays of it that would say so


def _behind(ws: Workspace, pipeline: str, keys: list[Kek]) -> bool:
    """Whether something of the zone still is under one of its older keys; what a destroyed one wrapped is lost."""
    zone = {kek.zone for kek in keys}.pop()
    further = [rotation.audit_signer(ws.settings.audit / pipeline, pipeline)] if zone == rotation.AUDIT else []
    older = {kek.id for kek in keys if not (kek.current or kek.destroyed)}
    return bool(older & rotation.needed(ws.lake, pipeline, zone, further).keys())


@contextmanager
def _free(path: Path) -> Iterator[bool]:
    """Hold the lock if nobody has it; whether we do."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # the folder went with its data, or no writer came so far
        yield True
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    else:
        yield True
    finally:
        os.close(handle)
