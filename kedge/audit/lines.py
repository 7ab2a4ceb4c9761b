"""`log.jsonl` and what is derived from it: the tree, and where each line ends. For one thread at a time.

Writers take turns under a lock. Whoever gets it first reads what others have written since, so that every process
knows the same log. `tree` (`kedge.audit.tree`) and `ends` (8 bytes per line, big-endian) are never fsynced: they are
believed as far as the last checkpoint vouches for them and made again from the lines otherwise.
"""

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kedge import durable, faults
from kedge.audit.checkpoint import Checkpoint
from kedge.audit.tree import Tree, leaf_hash, verify_inclusion
from kedge.errors import Tampered

faults.register("audit.append", steps=("before", "written", "synced", "after"))

LOG, TREE, ENDS, LOCK = "log.jsonl", "tree", "ends", "append.lock"
_END_BYTES = 8
_CHUNK = 4 * 2**20
_OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Extent(NamedTuple):
    """The log up to some entry: number of entries and bytes."""

    size: int
    end: int


class Turn:
    """The turn of one writer: the lock of the log is held, and what the others wrote is known.

    Raises:
        Tampered: the log is shorter than it was, is another file, or disagrees with the last checkpoint.
    """

    def __init__(self, lock: int, catch_up: Callable[[], None]) -> None:
        self._lock, self._catch_up = lock, catch_up

    def __enter__(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._catch_up()
        except BaseException:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)


class Lines:
    """The lines of one log, open for appending.

    Attributes:
        turn: to be held while writing.
        written: what is in the file, by us and by others as of our last turn.
        signed: what the checkpoint vouched for that we began with.

    Args:
        vkey: told by the first entry.
        last: reads the last checkpoint.
        own: the line of an entry that the log writes itself, from its action and facts.
    """

    def __init__(
        self, folder: Path, *, vkey: str, last: Callable[[], Checkpoint | None], own: Callable[..., bytes]
    ) -> None:
        faults.reach("audit.append.before")
        self._folder, self._vkey, self._last, self._own = folder, vkey, last, own
        self._log, self._ends, self._lock = (os.open(folder / name, _OPEN, 0o600) for name in (LOG, ENDS, LOCK))
        self._tree: Tree | None = None
        self._sound = False
        self._waiting: list[int] = []  # ends that are not in the file yet
        self._unhashed: list[bytes] = []  # lines that are not in the tree yet: an appender does not wait for that
        self._closed = False
        self.written = self.signed = Extent(0, 0)
        self._hashed_end = 0
        self.turn = Turn(self._lock, self._catch_up)

    @property
    def tree(self) -> Tree:
        assert self._tree is not None
        return self._tree

    def add(self, lines: Sequence[bytes]) -> None:
        """Append lines in our turn; on an error the file is cut back to what it was."""
        faults.reach("audit.append.before")
        data = b"\n".join(lines) + b"\n"
        try:
            _put(self._log, data, self._end)
            faults.reach("audit.append.written")
        except BaseException:
            os.ftruncate(self._log, self._end)
            raise
        self._take(lines, self._end + len(data))

    def sync(self) -> None:
        """Fsync the log; safe beside a turn of another thread."""
        os.fsync(self._log)
        faults.reach("audit.append.synced")

    def write_again(self, start: int) -> None:
        """Write the bytes from `start` on once more: after a failed fsync the kernel may take them as stored."""
        for place in range(start, self._end, _CHUNK):
            _put(self._log, os.pread(self._log, min(_CHUNK, self._end - place), place), place)

    def hash_up_to(self, size: int) -> None:
        """Take the first `size` lines into the tree, if they are not there yet."""
        count = size - self.tree.size
        if count <= 0:
            return
        sound, self._sound = self._sound, False
        lines = self._unhashed[:count]
        del self._unhashed[:count]
        self.tree.append([leaf_hash(line) for line in lines])
        end = self._hashed_end
        for line in lines:
            end += len(line) + 1
            self._waiting.append(end)
        self._hashed_end, self._sound = end, sound

    def flush(self) -> None:
        """Hand tree and ends to the operating system."""
        if self._waiting:
            first = self.tree.size - len(self._waiting)
            data = b"".join(end.to_bytes(_END_BYTES) for end in self._waiting)
            _put(self._ends, data, first * _END_BYTES)
            self._waiting.clear()
        self.tree.flush()

    def in_place(self) -> None:
        """Look whether the log that is open is the one in the folder.

        Raises:
            Tampered: it is not.
        """
        try:
            found = (self._folder / LOG).stat()
        except FileNotFoundError:
            raise self._tampered("the log that was opened", "no file") from None
        if not os.path.samestat(found, os.fstat(self._log)):
            raise self._tampered("the log that was opened", "another file in its place")

    def start_of(self, number: int) -> int:
        """Where line `number` starts, in our turn; lines up to there are in the tree."""
        self.flush()
        start = self._end_of(number)
        if number and (start <= 0 or os.pread(self._log, 1, start - 1) != b"\n"):
            self._rebuild(self._last())
            start = self._end_of(number)
        return start

    def close(self) -> None:
        """Let go of the files, and of the lock if it is held."""
        if self._closed:
            return
        self._closed = True
        for handle in (self._log, self._ends, self._lock):
            os.close(handle)
        if self._tree is not None:
            self._tree.close()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()

    @property
    def _end(self) -> int:
        return self.written.end

    def _catch_up(self) -> None:
        found = os.fstat(self._log)
        if not found.st_nlink:
            raise self._tampered("the log that was opened", "another file in its place, or none")
        if not self._sound:
            self._load()
        elif found.st_size == self._end:
            return
        elif found.st_size < self._end:
            raise self._tampered(f"{self._end} bytes", f"{found.st_size}")
        torn = self._follow()
        if torn:
            self._cut(torn)
        if not self.written.size:
            self.add([self._own("signer", vkey=self._vkey)])
            durable.sync_folder(self._folder)

    def _cut(self, torn: int) -> None:
        """Take away the line that a killed writer left unfinished, and say so."""
        faults.reach("audit.append.before")
        last = self._last()
        if last is not None and last.size > self.written.size:
            raise self._tampered(f"{last.size} entries, which are signed", f"{self.written.size}")
        os.ftruncate(self._log, self._end)
        self.add([self._own("recovered", bytes=torn)])

    def _load(self) -> None:
        """Begin at the last checkpoint; from the first line if tree or ends do not fit to it."""
        last = self._last()
        if last is None or not self._resume(last):
            self._rebuild(last)
        os.ftruncate(self._ends, self.tree.size * _END_BYTES)
        self.tree.trim()
        self._sound = True

    def _resume(self, last: Checkpoint) -> bool:
        try:
            self._begin(last.size)
        except ValueError:
            return False
        start, end = self._end_of(last.size - 1), self._end_of(last.size)
        if not 0 <= start < end <= os.fstat(self._log).st_size or end - start > _CHUNK:
            return False
        line = os.pread(self._log, end - start, start)
        proof, root = self.tree.inclusion(last.size - 1, last.size), self.tree.root()
        fits = verify_inclusion(last.size - 1, last.size, leaf_hash(line[:-1]), proof, last.root)
        if not fits or root != last.root or line[-1:] != b"\n":
            return False
        self.written = self.signed = Extent(last.size, end)
        self._hashed_end = end
        self._follow_whole()
        return True

    def _rebuild(self, last: Checkpoint | None) -> None:
        """Make tree and ends from the lines.

        Raises:
            Tampered: they do not give the root that is signed.
        """
        self._begin(0)
        self.written = self.signed = Extent(0, 0)
        self._follow_whole()
        if last is None:
            return
        if self.tree.size < last.size:
            raise self._tampered(f"{last.size} entries, which are signed", f"{self.tree.size}")
        if self.tree.root(last.size) != last.root:
            raise self._tampered(f"the {last.size} entries that are signed", "entries that were changed")
        self.signed = Extent(last.size, self._end_of(last.size))

    def _begin(self, size: int) -> None:
        if self._tree is not None:
            self._tree.close()
            self._tree = None
        self._tree = Tree(self._folder / TREE, size=size)
        self._waiting.clear()
        self._unhashed.clear()
        self._hashed_end = 0

    def _follow_whole(self) -> None:
        """Take every whole line there is."""
        self._follow()
        self.hash_up_to(self.written.size)
        self.flush()

    def _follow(self) -> int:
        """Take the lines that others wrote; returns the length of one that is not finished."""
        start, rest = self._end, b""
        place = start
        while chunk := os.pread(self._log, _CHUNK, place):
            place += len(chunk)
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            if newline:
                self._take(whole.split(b"\n"), place - len(rest))
            if place - start > _CHUNK:  # more than a few lines: not all of them in memory
                self.hash_up_to(self.written.size)
                self.flush()
        return len(rest)

    def _take(self, lines: Sequence[bytes], end: int) -> None:
        sound, self._sound = self._sound, False  # an interrupt from here on makes the next turn load again
        self._unhashed += lines
        self.written = Extent(self.written.size + len(lines), end)
        self._sound = sound

    def _end_of(self, number: int) -> int:
        """Where the first `number` lines end; -1 if the file does not say."""
        if number <= 0:
            return 0
        data = os.pread(self._ends, _END_BYTES, (number - 1) * _END_BYTES)
        return int.from_bytes(data) if len(data) == _END_BYTES else -1

    def _tampered(self, need: str, got: str) -> Tampered:
        return Tampered(
            f"audit/{self._folder.name}/{LOG}",
            need=need,
            got=got,
            remedy="Restore the folder of the log from a backup, and find out who wrote to it: `kedge audit verify`.",
            part="log",
        )


def _put(handle: int, data: bytes, place: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, place)
        rest, place = rest[written:], place + written
