"""The log of one pipeline: entries are written, fsynced, and only then acknowledged; checkpoints follow.

Threads share an fsync: while one waits for the disk, the others write, and the next fsync covers them all. Processes
take turns for the write alone. Signing is left to a thread of its own (`kedge.audit.signing`).
"""

import atexit
import json
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from kedge import durable, faults
from kedge.audit.checkpoint import Checkpoint, add, note, read_last
from kedge.audit.entry import encode, record
from kedge.audit.lines import LOCK, LOG, Extent, Lines
from kedge.audit.signer import FILE as SIGNER
from kedge.audit.signer import Signer, draft, store
from kedge.audit.signing import SigningThread
from kedge.errors import KedgeError, Tampered
from kedge.keys import KeyProvider

CHECKPOINTS = "checkpoints"


class Log:
    """An append-only log. For any number of threads and processes; in a forked child it opens its files again.

    Attributes:
        folder: where its files are.
        origin: `kedge/<lake id>/<pipeline>`.
        vkey: verifies its checkpoints.
    """

    _files: Lines | None
    _durable: Extent
    _signed: int  # entries
    _mutex: threading.Lock  # of all below
    _signing: threading.Lock  # taken before the other
    _flushed: threading.Condition
    _flushing: bool
    _unsure: bool  # an fsync failed: the kernel may take lost bytes as stored
    _thread: SigningThread

    def __init__(self, folder: Path, pipeline: str, signer: Signer) -> None:
        self.folder, self._pipeline, self._signer = folder, pipeline, signer
        self.origin, self.vkey = signer.name, signer.vkey
        self._forget()
        _LOGS.add(self)
        atexit.register(_close, weakref.ref(self))

    @classmethod
    def open(cls, folder: Path, *, pipeline: str, lake_id: str, keys: KeyProvider) -> Self:
        """The log in `folder`, made at first use.

        Raises:
            Tampered: it is shorter than its last checkpoint or disagrees with it, or its signing key is missing.
            Terminal: the key-encryption key of zone `audit` is gone.
            Transient: the disk is full or answers with an error.
        """
        with durable.storage(f"audit/{pipeline}"):
            durable.make_folder(folder, mode=0o700)
            if not (folder / SIGNER).exists():
                _make(folder, pipeline, lake_id, keys)
            log = cls(folder, pipeline, Signer.open(folder, pipeline, lake_id, keys))
            log._current()
        return log

    def append(self, *entries: Mapping[str, Any]) -> range:
        """Append entries; they are on the disk when this returns. Returns their numbers.

        Raises:
            Terminal: an entry has no canonical form; nothing was written.
            Tampered: the log is not what it was.
            Transient: the disk is full or answers with an error. None of the entries counts; after an error of the
                fsync itself they may be found in the log all the same.
        """
        return self.submit(*entries).wait()

    def submit(self, *entries: Mapping[str, Any]) -> "Ticket":
        """Write entries; they are on the disk when the ticket's `wait` returns. Raises as `append`."""
        if self._thread.failure is not None:
            self.sign()
        lines = [encode(entry) for entry in entries]
        try:
            with self._mutex:
                files = self._opened()
                with files.turn:
                    start = files.written.size
                    if lines:
                        files.add(lines)
                    return Ticket(self, range(start, files.written.size))
        except OSError as error:
            raise self._storage_error(error) from None

    def sign(self) -> Checkpoint:
        """Make everything durable that is written, and sign it now. Raises as `append`."""
        with durable.storage(f"audit/{self._pipeline}"):
            self._flush(self._current())
            checkpoint = self._sign()
            self._thread.failure = None
            return checkpoint

    def signed(self, checkpoint: Checkpoint) -> str:
        """The signed note of a checkpoint that `sign` returned; Ed25519 gives the same signature again."""
        return note(checkpoint, self.vkey, self._signer.sign(checkpoint.text().encode()))

    @property
    def size(self) -> int:
        """Number of entries, those of other processes included."""
        with durable.storage(f"audit/{self._pipeline}"):
            return self._current()

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Durable entries with their numbers, as many as there are now. Not verified against the checkpoints.

        Raises:
            Tampered: a line is no entry.
        """
        with durable.storage(f"audit/{self._pipeline}"):
            size = self._current()
            self._flush(size)
            stop = size if stop is None else min(stop, size)
            with self._mutex:
                files = self._opened()
                with files.turn:
                    files.hash_up_to(size)
                    place = files.start_of(start) if start < stop else 0
        with (self.folder / LOG).open("rb") as file:
            file.seek(place)
            for number in range(start, stop):
                yield number, self._parsed(number, file.readline())

    def close(self) -> None:
        """Flush and sign what is not signed, and let go of the files; a later use opens them again.

        Raises:
            Transient, Tampered: as `sign`.
        """
        with self._mutex:
            files = self._files
        if files is None:
            return
        self._thread.stop()
        try:
            if files.written.size > self._signed:
                self.sign()
        finally:
            with self._mutex:
                self._flushed.wait_for(lambda: not self._flushing)
                if self._files is not None:
                    self._files.close()
                self._files = None

    def _current(self) -> int:
        with self._mutex:
            files = self._opened()
            with files.turn:
                return files.written.size

    def _opened(self) -> Lines:
        """The files; the mutex is held."""
        if self._files is None:
            files = Lines(self.folder, vkey=self.vkey, last=self._last, own=self._own)
            try:
                with files.turn:
                    self._durable, self._signed = files.signed, files.signed.size
            except BaseException:
                files.close()
                raise
            self._files = files
        return self._files

    def _flush(self, size: int) -> None:
        """Return when the first `size` entries are durable: by our own fsync or by that of another thread."""
        with self._mutex:
            while self._flushing and self._durable.size < size:
                self._flushed.wait()
            if self._durable.size >= size:
                return
            files = self._opened()
            if self._unsure:
                files.write_again(self._durable.end)
            reached, self._flushing, self._unsure = files.written, True, True
        synced = False
        try:
            files.sync()
            synced = True
        finally:
            with self._mutex:
                if synced:
                    self._durable, self._unsure = reached, False
                self._flushing = False
                self._flushed.notify_all()
        self._thread.ask()
        faults.reach("audit.append.after")

    def _sign(self) -> Checkpoint:
        """Sign what is durable."""
        with self._signing:
            with self._mutex:
                files, size = self._opened(), self._durable.size
                with files.turn:
                    files.in_place()
                    files.hash_up_to(size)
                    files.flush()
                    checkpoint = Checkpoint(self.origin, size, files.tree.root(size))
            newest = add(self.folder / CHECKPOINTS, checkpoint, self._signer, self._agrees)
            self._signed = newest.size
            return newest

    def _agrees(self, last: Checkpoint) -> bool:
        with self._mutex:
            return self._opened().tree.root(last.size) == last.root

    def _last(self) -> Checkpoint | None:
        try:
            with (self.folder / CHECKPOINTS).open("rb") as file:
                return read_last(file, self.vkey)[0]
        except FileNotFoundError:
            return None

    def _storage_error(self, error: OSError) -> KedgeError:
        return durable.storage_error(f"audit/{self._pipeline}", error)

    def _own(self, action: str, **facts: Any) -> bytes:
        return encode(record(self._pipeline, action, "event", **facts))

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict):
            return entry
        raise Tampered(
            f"audit/{self._pipeline}/{LOG}",
            need=f"an entry as number {number}",
            got="something else",
            remedy="Run `kedge audit verify`, and restore the log from a backup.",
            part="log",
        )

    def _forget(self) -> None:
        """Begin without files and threads; a forked child has the files of its parent and none of its threads."""
        files = getattr(self, "_files", None)
        if files is not None:
            files.close()
        self._files, self._durable, self._signed = None, Extent(0, 0), 0
        self._mutex, self._signing = threading.Lock(), threading.Lock()
        self._flushed, self._flushing, self._unsure = threading.Condition(self._mutex), False, False
        self._thread = SigningThread(self._sign, self.origin)


class Ticket:
    """Entries that are written and not yet acknowledged.

    Attributes:
        numbers: their numbers.
    """

    __slots__ = ("_log", "numbers")

    def __init__(self, log: Log, numbers: range) -> None:
        self._log, self.numbers = log, numbers

    def wait(self) -> range:
        """Return their numbers when they are on the disk. Raises as `Log.append`."""
        try:
            self._log._flush(self.numbers.stop)
        except OSError as error:
            raise self._log._storage_error(error) from None
        return self.numbers


_LOGS: "weakref.WeakSet[Log]" = weakref.WeakSet()


def _make(folder: Path, pipeline: str, lake_id: str, keys: KeyProvider) -> None:
    _, data = draft(pipeline, lake_id, keys)
    with durable.lock(folder / LOCK):
        if (folder / SIGNER).exists():
            return
        if any((folder / name).exists() and (folder / name).stat().st_size for name in (LOG, CHECKPOINTS)):
            Signer.open(folder, pipeline, lake_id, keys)  # raises: a log that has entries has lost its signer
        store(folder, data)


def _close(reference: "weakref.ref[Log]") -> None:
    log = reference()
    if log is not None:
        log.close()


def _forget_all() -> None:
    for log in list(_LOGS):
        log._forget()


os.register_at_fork(after_in_child=_forget_all)
