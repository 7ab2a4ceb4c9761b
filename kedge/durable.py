"""Small files and folders that survive kill -9 and a power cut: temporary name, fsync, rename, fsync of the folder.

Everything a process may leave behind when it is killed is named `.tmp-*`; locks are `flock`s, which the kernel
releases with the process, so that no dead writer ever holds one.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kedge import faults
from kedge.errors import KedgeError, Terminal, Transient

TEMPORARY = ".tmp-"

_FULL = {errno.ENOSPC, errno.EDQUOT}


def replace(path: Path, data: bytes, *, mode: int = 0o644, point: str) -> None:
    """Make `data` the content of `path` in one step: a reader sees the old bytes or the new ones, never a part.

    The caller holds the lock of the folder. Fault points: `<point>.before`, `<point>.written`, `<point>.after`.
    """
    faults.reach(f"{point}.before")
    draft = path.with_name(f"{TEMPORARY}{os.urandom(6).hex()}-{path.name}")
    try:
        write(draft, data, mode=mode)
        faults.reach(f"{point}.written")
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    faults.reach(f"{point}.after")


def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a new file and fsync it; the file must not exist."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Fsync a file that another library wrote."""
    _sync(path)


def sync_folder(path: Path) -> None:
    """Fsync a folder, so that names that appeared in it stay after a power cut."""
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Make a folder and its parents, durably; folders that are there cost one look."""
    if path.is_dir():
        return
    make_folder(path.parent, mode=mode)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        sync_folder(path.parent)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the exclusive lock `path` (a file, made when missing) against other processes and threads."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Scratch:
    """A temporary folder that its process holds a lock on, so that others see whether its writer still lives.

    A process id says nothing across containers and is used again after a restart; a lock does neither.
    Make it under the lock of the parent folder: a sweep there must not meet a folder that is not locked yet.
    """

    def __init__(self, parent: Path) -> None:
        self.path = parent / f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
        self.path.mkdir()
        self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove what is still there under the temporary name and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._handle)


def sweep(folder: Path) -> int:
    """Remove what dead writers left in `folder`; the caller holds its lock. Returns how many things went."""
    found = [entry for entry in folder.iterdir() if entry.name.startswith(TEMPORARY)]
    return sum(_sweep(entry) for entry in found)


def _sweep(entry: Path) -> bool:
    if not entry.is_dir():
        entry.unlink(missing_ok=True)  # single files are written under the folder's lock, which we hold
        return True
    if _alive(entry):
        return False
    shutil.rmtree(entry, ignore_errors=True)
    return True


def _alive(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def storage(place: str) -> Iterator[None]:
    """Turn an operating system's error while writing `place` into one that says what to do.

    Raises:
        Transient: the disk is full or answers with an error; what was there before is unharmed.
        Terminal: the process may not write there.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(place, error) from None


def storage_error(place: str, error: OSError) -> KedgeError:
    """The error to raise in place of `error`, which hit while `place` was written or read."""
    got = error.strerror or type(error).__name__
    if isinstance(error, PermissionError):
        return Terminal(place, need="leave to read and write", got=got, remedy="Run as the owner of the folder.")
    remedy = "Free some space" if error.errno in _FULL else "Look at the disk"
    remedy += " and run it again; what was there before is unharmed."
    return Transient(place, need="a disk that takes and gives the bytes", got=got, remedy=remedy)
