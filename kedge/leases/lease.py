"""The lease of one run: a file that its process keeps locked, and a beat in it for machines of another kernel.

The kernel lets go of a lock when its process ends, however it ends; so on one machine a look tells at once. A lock says
nothing to another machine: there the count in the file goes on, or it does not. The file is
`<boot id of the holder's kernel> <count>`; a boot id (proc(5), random/boot_id) is another one after every start.
"""

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from kedge import durable
from kedge.errors import Terminal

BEAT_SECONDS = 5.0
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
_LOCK = ".lock"
_held: set[Path] = set()
"""Leases of this process, so that a stage inside a run asks for no second one."""


@dataclass(frozen=True)
class Sight:
    """What one look at a run's lease shows.

    Attributes:
        state: `held` and `free` are certain: the holder's kernel is ours. `distant`: a kernel we cannot ask holds or
            held it; only `token` tells, by changing. `none`: there is no lease.
        token: what the file says.
    """

    state: Literal["held", "free", "distant", "none"]
    token: str = ""


@contextmanager
def hold(folder: Path, run: str) -> Iterator[None]:
    """Hold the lease of `run` in `folder`; the end of the process, by whatever cause, ends it too.

    Does nothing where this process or another living one of this machine holds it already: one is enough.

    Raises:
        KedgeError: the name is none of a run, or the file cannot be written.
    """
    path = _path(folder, run)
    if path in _held:
        yield
        return
    handle = _take(path)
    if handle is None:
        yield
        return
    ended = threading.Event()
    beats = threading.Thread(target=_beat, args=(handle, ended), name=f"lease {run}", daemon=True)
    _held.add(path)
    beats.start()
    try:
        yield
    finally:
        ended.set()
        beats.join()
        _held.discard(path)
        _release(path, handle)


def look(folder: Path, run: str) -> Sight:
    """What the lease of `run` shows right now."""
    try:
        handle = os.open(_path(folder, run), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return Sight("none")
    try:
        token = os.read(handle, 200).decode(errors="replace").strip()
        if token.partition(" ")[0] != boot():
            return Sight("distant", token)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Sight("held", token)
        return Sight("free", token)
    finally:
        os.close(handle)


def drop(folder: Path, run: str) -> None:
    """Remove the lease of a run that has ended; one that is held on this machine stays."""
    with durable.lock(folder / _LOCK):
        if look(folder, run).state != "held":
            _path(folder, run).unlink(missing_ok=True)


def names(folder: Path) -> list[str]:
    """Runs that have a lease, held or not."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if _NAME.fullmatch(entry.name))


@cache
def boot() -> str:
    """Which start of which kernel this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _take(path: Path) -> int | None:
    """Lock a new file under a temporary name, then name it: nobody ever sees it unlocked while we live."""
    with durable.storage(f"leases/{path.name}"):
        durable.make_folder(path.parent)
        with durable.lock(path.parent / _LOCK):
            if look(path.parent, path.name).state == "held":
                return None
            durable.sweep(path.parent)
            draft = path.with_name(f"{durable.TEMPORARY}{os.urandom(6).hex()}")
            handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                _write(handle, 0)
                draft.rename(path)
            except BaseException:
                draft.unlink(missing_ok=True)
                os.close(handle)
                raise
    return handle


def _release(path: Path, handle: int) -> None:
    """Remove our file, though not one that another process has put in its place, and let go of the lock."""
    try:
        with durable.storage(f"leases/{path.name}"), durable.lock(path.parent / _LOCK), suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(handle)):
                path.unlink()
    finally:
        os.close(handle)


def _beat(handle: int, ended: threading.Event) -> None:
    count = 0
    while not ended.wait(BEAT_SECONDS):
        count += 1
        with suppress(OSError):  # a beat that is missed, which is what others will see
            _write(handle, count)


def _write(handle: int, count: int) -> None:
    os.pwrite(handle, f"{boot()} {count:012}\n".encode(), 0)


def _path(folder: Path, run: str) -> Path:
    if not _NAME.fullmatch(run):
        need = "letters, digits, - and _, at most 100"
        raise Terminal("run id", need=need, got="other characters", remedy="Use the id that Dagster gave the run.")
    return folder / run
