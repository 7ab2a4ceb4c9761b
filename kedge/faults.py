"""Fault points: named places where a test can stop the process or make the next step fail.

`KEDGE_FAULT=lake.swap.before:kill` kills the process (SIGKILL) the moment it reaches that point; `:error` raises an
`OSError` there (EIO), `:full` that of a full disk (ENOSPC), every time. `:kill@3` strikes only the third time that this
process reaches the point. `KEDGE_FAULT=trace:FILE` harms nothing and adds the name of every point that is reached to
FILE. Production never sets the variable; reaching a point then costs one look-up. Points are registered by the modules
that own them, so that a test can enumerate and kill at each.
"""

import errno
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "KEDGE_FAULT"
TRACE = "trace"
KINDS = ("kill", "error", "full")

_POINTS: set[str] = set()
_reached: Counter[tuple[int, str]] = Counter()


def register(*points: str, steps: Sequence[str] = ()) -> None:
    """Declare fault points at import time of the module that owns them; with steps, `<point>.<step>` of each."""
    _POINTS.update(f"{point}.{step}" for point in points for step in steps)
    _POINTS.update(points if not steps else ())


def points() -> frozenset[str]:
    """All points registered by the modules imported so far."""
    return frozenset(_POINTS)


def reach(point: str) -> None:
    """Pass the fault point `point`; does nothing unless `KEDGE_FAULT` names it.

    Raises:
        OSError: the fault that was asked for.
        ValueError: `KEDGE_FAULT` asks for an unknown kind.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    name, _, what = wanted.partition(":")
    if name == TRACE:
        _note(point, Path(what))
    elif name == point:
        _strike(point, what)


def _note(point: str, trace: Path) -> None:
    with trace.open("a", encoding="utf-8") as file:
        file.write(f"{point}\n")


def _strike(point: str, what: str) -> None:
    kind, _, turn = what.partition("@")
    if kind not in KINDS or not (turn or "1").isdigit():
        raise ValueError(f"{VARIABLE}: needs one of {', '.join(KINDS)}; got {what!r}. Write {point}:kill or :kill@2")
    here = (os.getpid(), point)  # a forked process counts for itself
    _reached[here] += 1
    if turn and _reached[here] != int(turn):
        return
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise OSError(errno.EIO, f"fault injected at {point}")
