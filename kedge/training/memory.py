"""The memory of the process that starts a training: it holds keys, and the training must not look into it."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

_GET_DUMPABLE, _SET_DUMPABLE = 3, 4


@contextmanager
def closed() -> Iterator[None]:
    """While the block runs, other processes of the same user may not trace this one or read its memory or environment.

    What root may do stays as it was. The price is that a crash leaves no core file, which would hold the keys, and that
    a profiler such as py-spy needs root; so only while a training runs, in which this process waits. What it starts
    meanwhile is open again, since the kernel opens every program that is executed.
    """
    libc = ctypes.CDLL(None)
    before = libc.prctl(_GET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SET_DUMPABLE, 1 if before else 0, 0, 0, 0)
