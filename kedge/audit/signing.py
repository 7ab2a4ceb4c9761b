"""A thread that signs after the appends, so that no appender waits for a signature."""

import threading
from collections.abc import Callable

from kedge.errors import KedgeError

SIGN_SECONDS = 0.1
"""Between two checkpoints of a busy log."""

_IDLE_SECONDS = 1.0  # how long the thread stays without work


class SigningThread:
    """Calls `sign` soon after it was asked to; several requests meanwhile are one. Made anew in a forked child.

    Attributes:
        failure: why the last signature failed; whoever appends next signs first.
    """

    def __init__(self, sign: Callable[[], object], name: str) -> None:
        self._sign, self._name = sign, name
        self._changed = threading.Condition()
        self._asked = False
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def ask(self) -> None:
        """Have what is durable by now signed soon."""
        if self._asked:
            return
        with self._changed:
            self._asked = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"sign {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """End the thread after what it is doing; what it was asked meanwhile stays undone."""
        with self._changed:
            thread, self._thread, self._asked = self._thread, None, False
            self._ending.set()
            self._changed.notify()
        if thread is not None:
            thread.join()
        self._ending = threading.Event()

    def _run(self) -> None:
        ending = self._ending
        while not ending.is_set():
            with self._changed:
                if not self._changed.wait_for(lambda: self._asked or ending.is_set(), _IDLE_SECONDS):
                    self._thread = None
                    return
                if ending.is_set():
                    return
                self._asked = False
            try:
                self._sign()
            except (KedgeError, OSError) as error:
                self.failure = error
            ending.wait(SIGN_SECONDS)
