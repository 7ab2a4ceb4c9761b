"""Being told to end while Dagster executes: which signal it was, and the exit status that says so."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDINGS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_to_end() -> Iterator[Callable[[], signal.Signals | None]]:
    """Give a function that names the first of SIGTERM and SIGINT that came inside, if one did.

    Dagster ends the run at either, but does not tell which it was, and leaves SIGTERM to do what Ctrl-C does. Python
    writes the number of every signal it handles to a descriptor of ours. In the main thread only.
    """
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before, handler = signal.set_wakeup_fd(writing, warn_on_full_buffer=False), signal.getsignal(signal.SIGTERM)
    came: list[signal.Signals] = []
    try:
        yield lambda: came[0] if came else None
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGTERM, handler)
        os.close(writing)
        with os.fdopen(reading, "rb") as numbers:
            came += [signal.Signals(number) for number in numbers.read() or b"" if number in ENDINGS]
