"""Errors of the frame libraries quote cell values; this is where they are replaced by ones that do not."""

import os
import re
from collections.abc import Callable
from typing import TypeVar

import polars as pl

from kedge import durable
from kedge.errors import KedgeError, Terminal

T = TypeVar("T")

_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def shielded(setting: str, need: str, remedy: str, call: Callable[[], T]) -> T:
    """Return `call()`; an error of polars becomes one that names only its class, or what the disk said.

    The new error is raised outside the handler on purpose: it carries neither cause nor context, so that no log
    can print the original message.

    Raises:
        Terminal: polars could not compute, write or read the frame.
        Transient: the disk did not take or give it.
    """
    try:
        return call()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        failure, disk = type(error).__name__, _OS_ERROR.search(str(error))
    if disk:
        raise _disk_error(setting, int(disk[1]))
    raise Terminal(setting, need=need, got=f"{failure} from polars", remedy=remedy)


def _disk_error(setting: str, errno: int) -> KedgeError:
    return durable.storage_error(setting, OSError(errno, os.strerror(errno)))
