"""A secret for one child process: a named pipe in a private folder, so that it is never on a disk or in a command line.

An anonymous pipe would not do: torchrun closes inherited descriptors.
"""

import errno
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedge.errors import Transient

WAIT_SECONDS = 120.0  # for the other side; importing torch on a busy machine takes its time
_PAUSE_SECONDS = 0.02


@contextmanager
def serve(pipe: Path, content: bytes) -> Iterator[None]:
    """Make the named pipe and give `content` to the first process that opens it.

    Leaving the block withdraws the offer, whether or not anybody came.
    """
    os.mkfifo(pipe, 0o600)
    over = threading.Event()
    server = threading.Thread(target=_give, args=(pipe, content, over), name="kedge-handover", daemon=True)
    server.start()
    try:
        yield
    finally:
        over.set()
        server.join()
        pipe.unlink()


def _give(pipe: Path, content: bytes, over: threading.Event) -> None:
    descriptor = _open(pipe, over)
    if descriptor is None:
        return
    try:
        left = memoryview(content)
        while left and not over.is_set():
            if select.select([], [descriptor], [], _PAUSE_SECONDS)[1]:
                left = left[os.write(descriptor, left[: select.PIPE_BUF]) :]
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


def receive(pipe: Path, wait_seconds: float = WAIT_SECONDS) -> bytes:
    """Read what the other side gives, to its end.

    Raises:
        Transient: nothing came in time: the process that started this one is gone.
    """
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    parts: list[bytes] = []
    deadline = time.monotonic() + wait_seconds
    try:
        while time.monotonic() < deadline:
            part = _read(descriptor)
            if part:
                parts.append(part)
            elif parts and part is not None:
                return b"".join(parts)
            else:
                time.sleep(_PAUSE_SECONDS)
    finally:
        os.close(descriptor)
    raise Transient(
        "the training process",
        need=f"its task within {wait_seconds:g} s",
        got="nothing" if not parts else "a part of it",
        remedy="Run the training again.",
    )


def _read(descriptor: int) -> bytes | None:
    """What is there; nothing at the end or before the other side opened; None while it is silent."""
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return None
