"""Small files and folders that survive kill -9 and a power cut: temporary name, fsync, rename, fsync of the folder.

Everything a process may leave behind when it is killed is named `.tmp-*`; locks are `flock`s, which the kernel
releases with the process, so that no dead writer ever holds one.
"""

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kedge import faults
from kedge.errors import KedgeError, Terminal, Transient

TEMPORARY = ".tmp-"

WRITE = ("before", "opened", "written")
"""Steps of the fault point that `write` is given."""

REPLACE = (*WRITE, "renamed", "after")
"""Steps of the fault point that `replace` is given."""

faults.register("durable.folder", "durable.lock", steps=("before", "after"))
faults.register("durable.scratch", steps=("before", "made", "closing", "closed"))
faults.register("durable.sweep", steps=("file", "folder"))

_FULL = {errno.ENOSPC, errno.EDQUOT}


def replace(path: Path, data: bytes, *, mode: int = 0o644, point: str) -> None:
    """Make `data` the content of `path` in one step: a reader sees the old bytes or the new ones, never a part.

    The caller holds the lock of the folder. Fault points: `<point>.` and each of `REPLACE`.
    """
    draft = path.with_name(f"{TEMPORARY}{os.urandom(6).hex()}-{path.name}")
    try:
        write(draft, data, mode=mode, point=point)
        draft.rename(path)
        faults.reach(f"{point}.renamed")
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    faults.reach(f"{point}.after")


def write(path: Path, data: bytes, *, mode: int = 0o644, point: str) -> None:
    """Write a new file and fsync it; the file must not exist. Fault points: `<point>.` and each of `WRITE`."""
    faults.reach(f"{point}.before")
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        faults.reach(f"{point}.opened")
        file.write(data)
        file.flush()
        faults.reach(f"{point}.written")
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
    faults.reach("durable.folder.before")
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        sync_folder(path.parent)
    faults.reach("durable.folder.after")


@contextmanager
def lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock `path` (a file, made when missing) against other processes and threads.

    Args:
        shared: beside others who hold it shared, against those who hold it alone.
    """
    faults.reach("durable.lock.before")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with locked(handle, shared=shared):
            faults.reach("durable.lock.after")
            yield
    finally:
        os.close(handle)


@contextmanager
def locked(handle: int, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an open file; let go of it explicitly, for a process forked meanwhile has it open too."""
    fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


class Scratch:
    """A temporary folder that its process holds a lock on, so that others see whether its writer still lives.

    A process id says nothing across containers and is used again after a restart; a lock does neither.
    Make it under the lock of the parent folder: a sweep there must not meet a folder that is not locked yet.
    """

    def __init__(self, parent: Path) -> None:
        self.path = parent / f"{TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
        faults.reach("durable.scratch.before")
        self.path.mkdir(mode=0o700)
        faults.reach("durable.scratch.made")  # an error here leaves an empty folder without a lock to the next sweep
        self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove what is still there under the temporary name and let go of the lock."""
        faults.reach("durable.scratch.closing")
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._handle)
        faults.reach("durable.scratch.closed")


def own_temporary() -> Path:
    """This user's folder `kedge-<user id>` where temporary files go, made when missing; nobody else may enter it.

    Raises:
        Terminal: somebody else made it, or others may enter.
    """
    folder = Path(tempfile.gettempdir()) / f"kedge-{os.getuid()}"
    with storage(str(folder)):
        make_folder(folder, mode=0o700)
        found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    need, got = "a folder of yours with mode 0700", "another owner, another mode or a link"
    raise Terminal(str(folder), need=need, got=got, remedy="Remove it, or set TMPDIR to a folder of yours.")


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A private temporary folder below `parent`, a folder for nothing else; what killed processes left there goes."""
    with storage(str(parent)):
        make_folder(parent, mode=0o700)
        with lock(parent / ".lock"):
            sweep(parent)
            made = Scratch(parent)
    try:
        yield made.path
    finally:
        made.close()


def sweep(folder: Path, name: str = "") -> int:
    """Remove what dead writers left in `folder`; the caller holds its lock. Returns how many things went.

    Args:
        name: only what `replace` left of the file of that name, in a folder where others write too.
    """
    found = [entry for entry in folder.iterdir() if entry.name.startswith(TEMPORARY) and entry.name.endswith(name)]
    return sum(_sweep(entry) for entry in found)


def _sweep(entry: Path) -> bool:
    if not entry.is_dir():
        entry.unlink(missing_ok=True)  # single files are written under the folder's lock, which we hold
        faults.reach("durable.sweep.file")
        return True
    if _alive(entry):
        return False
    shutil.rmtree(entry, ignore_errors=True)
    faults.reach("durable.sweep.folder")
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
