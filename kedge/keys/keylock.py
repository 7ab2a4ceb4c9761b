"""The lock between those who wrap data keys and those who change which key-encryption keys there are.

Whoever wraps a key and stores it holds it shared from the wrapping until the file is in place; whoever
makes a key current or destroys one holds it alone. So no file appears that needs a key which was just found unused.
Always taken before a partition's lock, never after.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kedge import durable

_LOCK, _TURN = ".keys.lock", ".keys.turn"


@contextmanager
def wrapping(folder: Path) -> Iterator[None]:
    """Keys may be wrapped and stored in `folder`, that of a pipeline in its zone; none is destroyed meanwhile.

    Not to be taken twice by one thread: the second waits at the turn for one who waits for the first.
    """
    with ExitStack() as held:
        with durable.lock(folder / _TURN):
            held.enter_context(durable.lock(folder / _LOCK, shared=True))
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody wraps. New ones queue at the turn, or many short holders could keep this one waiting for good."""
    with durable.lock(folder / _TURN), durable.lock(folder / _LOCK):
        yield
