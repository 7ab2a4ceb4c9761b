"""The trail: who, what, when and why, written into the log of the pipeline that it is about.

A change has an intent, on the disk before anything happens, and an outcome afterwards. What a killed process left
without an outcome is settled by `kedge.settle`; to tell a dead writer from a live one, a change holds a lock as long
as it lasts: the lake's its partition's, every other one `<action>.lock` beside the log, shared by all who do the same.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kedge import durable, faults
from kedge.audit.entry import Actor, record
from kedge.errors import Blocked, Conflict, KedgeError
from kedge.keys import Kek, KeyProvider
from kedge.spec.names import check_name

if TYPE_CHECKING:
    from kedge.audit.log import Log

faults.register("audit.configured", steps=("before", "after"))

Phase = Literal["intent", "outcome", "event"]
_PLACE = ("zone", "dataset", "partition", "version")
_COMMIT = (*_PLACE, "predecessor", "sequence", "content_digest", "released", "blocked_by")


class _Told:
    """Reads that this process has logged already; a forked one starts with what its parent told of the same run."""

    def __init__(self) -> None:
        self.keys: set[tuple[object, ...]] = set()
        self.lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self.lock = threading.Lock()  # a thread that held it did not come along


_told = _Told()


class Trail:
    """Writes entries; implements the lake's `Journal`. Opens a log when it has something to say, not before.

    Attributes:
        folder: of all logs, one folder per pipeline in it.
        lake_id: part of the name that signs.
        run: the orchestrator's run, if there is one.
        why: what it is done for, in words; names no person.
        actor: who does it.
    """

    def __init__(
        self, folder: Path, lake_id: str, keys: KeyProvider, *, run: str | None, why: str | None, actor: Actor
    ) -> None:
        self.folder, self.lake_id, self._keys = folder, lake_id, keys
        self.run, self.why, self.actor = run, why, actor
        self._logs: dict[str, Log] = {}
        self._intents: dict[tuple[object, ...], int] = {}
        self._opening = threading.Lock()
        self._unborn: set[str] = set()
        self._made: list[Kek] = []

    def __repr__(self) -> str:
        return f"Trail({self.lake_id})"

    @classmethod
    def open(
        cls,
        folder: Path,
        lake_id: str,
        keys: KeyProvider,
        *,
        run: str | None = None,
        why: str | None = None,
        actor: Actor | None = None,
    ) -> "Trail":
        """The trail of a lake, with its logs below `folder`; touches no file."""
        return cls(folder, lake_id, keys, run=run, why=why, actor=actor or Actor.of_system())

    def log(self, pipeline: str) -> "Log":
        """The log of a pipeline; made, with its signer, at first use."""
        with self._opening:
            if pipeline not in self._logs:
                from kedge.audit.log import Log

                folder = self.folder / check_name("pipeline", pipeline)
                self._unborn.add(pipeline)
                try:
                    self._logs[pipeline] = Log.open(folder, pipeline=pipeline, lake_id=self.lake_id, keys=self._keys)
                finally:
                    self._unborn.discard(pipeline)
            log, (made, self._made) = self._logs[pipeline], (self._made, [])
        for kek in made:
            self.made(kek)
        return log

    def close(self) -> None:
        """Sign and close what was opened; whoever writes again opens it again."""
        with self._opening:
            while self._logs:
                self._logs.popitem()[1].close()

    def intent(self, entry: Mapping[str, Any]) -> None:
        """Before a commit: on the disk when this returns."""
        facts = {name: entry[name] for name in _COMMIT}
        number = self._append(entry["pipeline"], entry["action"], "intent", entry["declared"], facts)
        self._intents[_place(entry)] = number

    def outcome(self, entry: Mapping[str, Any]) -> None:
        """After a commit, while the partition's lock is still held."""
        facts = {name: entry[name] for name in (*_PLACE, "result")} | _error(entry.get("error"))
        of = self._intents.pop(_place(entry))
        self._append(entry["pipeline"], entry["action"], "outcome", entry["declared"], {**facts, "of": of})

    def read(self, entry: Mapping[str, Any]) -> None:
        """Before rows or bytes of a stored version are given: once per version and run, or process without a run."""
        place = _place(entry)
        once = (self.folder, place, self.run or os.getpid(), self.why, self.actor)
        with _told.lock:
            if once not in _told.keys:
                self.event(entry["pipeline"], "read", **{name: entry[name] for name in _PLACE})
                _told.keys.add(once)

    def denied(self, entry: Mapping[str, Any]) -> None:
        """A key or a file did not open. The read did not happen, so a log that fails as well changes nothing."""
        facts = {name: entry.get(name) for name in (*_PLACE, "file", "what")}
        with suppress(KedgeError):
            self.event(entry["pipeline"], "denied", **facts)

    def made(self, kek: Kek) -> None:
        """A key-encryption key was made on first use; see `KeyProvider.announce`."""
        if kek.pipeline in self._unborn:  # the key of the log's own signer: told once there is a log
            self._made.append(kek)
        else:
            self.event(kek.pipeline, "keys.create", zone=kek.zone, kek=kek.id)

    def event(self, pipeline: str, action: str, *, config: str | None = None, **facts: Any) -> int:
        """Something that has no before and after; returns the entry's number.

        Args:
            config: digest of the declaration, or of the stage's part of it.
            facts: texts, integers and the like; never a personal value, a path with one, or a float.
        """
        return self._append(pipeline, action, "event", config, facts)

    @contextmanager
    def change(
        self, pipeline: str, action: str, *, config: str | None = None, **facts: Any
    ) -> Iterator[dict[str, Any]]:
        """Stand around a change: its intent is on the disk before the block begins, its outcome after it.

        Yields:
            what the block adds to the outcome. A block that sets `result` says itself what became of the change, also
            when it raises afterwards; otherwise it is `done`, or `conflict`, `refused` or `failed` by the error.
        """
        with self._sharing(pipeline, action):
            of = self._append(pipeline, action, "intent", config, facts)
            found: dict[str, Any] = {}
            try:
                yield found
            except BaseException as error:
                ended = {"result": _result(error), **found, **_error(type(error).__name__), "of": of}
                with suppress(KedgeError):  # settled later; what went wrong is worth more to whoever waits
                    self._append(pipeline, action, "outcome", config, {**facts, **ended})
                raise
            self._append(pipeline, action, "outcome", config, {**facts, "result": "done", **found, "of": of})

    def recovered(self, pipeline: str, of: int, intent: Mapping[str, Any], result: str) -> int:
        """The outcome of somebody else's intent, whose writer is gone; see `kedge.settle`."""
        place = {name: intent[name] for name in _PLACE if name in intent}
        facts = {**place, "result": result, "of": of, "recovered": True}
        return self._append(pipeline, intent["action"], "outcome", intent["config"], facts)

    def configured(self, pipeline: str, digest: str) -> bool:
        """Log the digest of the declaration if it is another than the last logged; whether it was."""
        seen = self.folder / check_name("pipeline", pipeline) / "configuration"
        with suppress(FileNotFoundError):
            if seen.read_text() == digest:
                return False
        self.event(pipeline, "configuration", config=digest)
        with durable.storage(f"audit/{pipeline}"):
            faults.reach("audit.configured.before")
            seen.write_text(digest)  # a note to ourselves: cut short or lost, the event is written once more
            faults.reach("audit.configured.after")
        return True

    @contextmanager
    def _sharing(self, pipeline: str, action: str) -> Iterator[None]:
        self.log(pipeline)  # makes the folder
        with ExitStack() as stack:
            with durable.storage(f"audit/{pipeline}"):
                stack.enter_context(durable.lock(change_lock(self.folder / pipeline, action), shared=True))
            yield

    def _append(self, pipeline: str, action: str, phase: Phase, config: str | None, facts: Mapping[str, Any]) -> int:
        log = self.log(pipeline)  # opened first: it begins with entries of its own
        entry = record(pipeline, action, phase, actor=self.actor, run=self.run, why=self.why, config=config, **facts)
        return log.append(entry)[0]


def change_lock(folder: Path, action: str) -> Path:
    """The lock that everybody shares who makes such a change to the pipeline whose log is in `folder`."""
    return folder / f"{action}.lock"


def _place(entry: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(entry[name] for name in ("pipeline", *_PLACE))


def _result(error: BaseException) -> str:
    return "conflict" if isinstance(error, Conflict) else "refused" if isinstance(error, Blocked) else "failed"


def _error(name: str | None) -> dict[str, str]:
    """The error's class only: a message may quote what nobody may read."""
    return {} if name is None else {"error": name}
