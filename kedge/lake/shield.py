"""Errors of the frame libraries quote cell values; this is where they are replaced by ones that do not."""

from collections.abc import Callable
from typing import TypeVar

import polars as pl

from kedge.errors import Terminal

T = TypeVar("T")


def shielded(setting: str, need: str, remedy: str, call: Callable[[], T]) -> T:
    """Return `call()`; an error of polars or of a codec becomes a Terminal that names only its class.

    The new error is raised outside the handler on purpose: it carries neither cause nor context, so that no log
    can print the original message.

    Raises:
        Terminal: polars could not compute, write or read the frame.
    """
    try:
        return call()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        failure = type(error).__name__
    raise Terminal(setting, need=need, got=f"{failure} from polars", remedy=remedy)
