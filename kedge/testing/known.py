"""A lake whose tokens and hold-out are known: the same people are held out in every run of a test or benchmark.

A small hold-out judges a model with noise: with secrets of its own, one lake in a dozen refuses a model that the others
promote.
"""

from collections.abc import Iterator
from typing import Final
from unittest import mock

from kedge.keys import new_key
from kedge.lake import secret
from kedge.settings import Settings
from kedge.workspace import Workspace

TOKEN: Final = bytes(range(32, 64))
HOLDOUT: Final = bytes(range(32))


def hold_out(settings: Settings, pipeline: str) -> None:
    """Make the secrets of a pipeline that has none: those of tokens and hold-out known, the others random as ever."""
    made: Iterator[bytes] = iter([TOKEN, HOLDOUT, new_key(), new_key()])
    with mock.patch.object(secret, "new_key", side_effect=made):
        found = Workspace.open(settings).secrets(pipeline)
    if found.holdout != HOLDOUT or next(made, None) is not None:
        raise ValueError(f"{pipeline} has secrets already: its hold-out is not the known one")
