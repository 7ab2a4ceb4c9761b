"""A secret for one child process: a named pipe in a private folder, so that it is never on a disk or in a command line.

An anonymous pipe would not do: torchrun closes inherited descriptors. The pipe stays open until the parent is done with
the child, so that a child whose parent was killed notices and does not work on for nobody.
"""

import errno
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kedge import durable, faults
from kedge.errors import Transient

faults.register("training.pipe", steps=("before", "after"))

WAIT_SECONDS = 120.0  # for the other side; importing torch on a busy machine takes its time
_PAUSE_SECONDS = 0.02
_LENGTH_BYTES = 8


@contextmanager
def serve(pipe: Path, content: bytes, *, group: int | None = None) -> Iterator[None]:
    """Make the named pipe and give `content` to the first process that opens it; then its name is gone.

    Leaving the block withdraws the offer, whether or not anybody came, and lets go of the child.

    Args:
        group: whose members may take it, too.
    """
    with durable.storage(str(pipe.parent)):
        faults.reach("training.pipe.before")
        os.mkfifo(pipe, 0o600)
        if group is not None:
            os.chown(pipe, -1, group)
            pipe.chmod(0o640)
        faults.reach("training.pipe.after")
    over = threading.Event()
    framed = len(content).to_bytes(_LENGTH_BYTES) + content
    server = threading.Thread(target=_give, args=(pipe, framed, over), name="kedge-handover", daemon=True)
    server.start()
    try:
        yield
    finally:
        over.set()
        server.join()
        pipe.unlink(missing_ok=True)


def _give(pipe: Path, framed: bytes, over: threading.Event) -> None:
    descriptor = _open(pipe, over)
    if descriptor is None:
        return
    try:
        left = memoryview(framed)
        while left and not over.is_set():
            if select.select([], [descriptor], [], _PAUSE_SECONDS)[1]:
                left = left[os.write(descriptor, left[: select.PIPE_BUF]) :]
        pipe.unlink()  # who opens it now would wait for a second task
        over.wait()
    except BrokenPipeError:
        return  # the reader is gone; its exit says why
    finally:
        os.close(descriptor)


def _open(pipe: Path, over: threading.Event) -> int | None:
    """The writing end once somebody reads; None if the offer was withdrawn before."""
    while not over.is_set():
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                raise
        over.wait(_PAUSE_SECONDS)
    return None


@contextmanager
def receive(pipe: Path, orphaned: Callable[[], None], wait_seconds: float = WAIT_SECONDS) -> Iterator[bytes]:
    """What the other side gives.

    Args:
        orphaned: called from a thread if the other side goes away while the block runs.

    Raises:
        Transient: nothing, or only a part, came in time: the process that started this one is gone.
    """
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(descriptor, over, orphaned), name="kedge-lifeline", daemon=True)
    try:
        deadline = time.monotonic() + wait_seconds
        length = int.from_bytes(_read(descriptor, _LENGTH_BYTES, deadline))
        content = _read(descriptor, length, deadline)
        watch.start()
        yield content
    finally:
        over.set()
        if watch.is_alive():
            watch.join()
        os.close(descriptor)


def _read(descriptor: int, length: int, deadline: float) -> bytes:
    parts: list[bytes] = []
    while (left := length - sum(map(len, parts))) and time.monotonic() < deadline:
        try:
            part = os.read(descriptor, min(left, 1 << 20))
        except BlockingIOError:  # the other side is there and silent
            part = b""
        if part:
            parts.append(part)
        else:  # also before the other side has opened it
            time.sleep(_PAUSE_SECONDS)
    if left:
        raise Transient(
            "the training process",
            need="its task over the pipe",
            got="a part of it" if parts else "nothing",
            remedy="The process that started it ended; run the training again.",
        )
    return b"".join(parts)


def _watch(descriptor: int, over: threading.Event, orphaned: Callable[[], None]) -> None:
    """Wait for the other side to close the pipe, or for the end."""
    while not over.wait(0.2):
        if select.select([descriptor], [], [], 0)[0] and not os.read(descriptor, 1):
            orphaned()
            return
