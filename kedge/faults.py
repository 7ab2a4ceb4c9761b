"""Fault points: named places where a test can stop the process or make the next step fail.

`KEDGE_FAULT=lake.swap.before:kill` kills the process (SIGKILL) the moment it reaches that point;
`:error` raises an `OSError` there. Production never sets the variable; reaching a point then costs one
dictionary look-up. Points are registered, so that a test can enumerate and kill at each.
"""

import os
import signal

_POINTS: set[str] = set()


def register(*points: str) -> None:
    """Declare fault points at import time of the module that owns them."""
    _POINTS.update(points)


def points() -> frozenset[str]:
    """All points registered by the modules imported so far."""
    return frozenset(_POINTS)


def reach(point: str) -> None:
    """Pass the fault point `point`; does nothing unless `KEDGE_FAULT` names it."""
    wanted = os.environ.get("KEDGE_FAULT")
    if not wanted:
        return
    name, _, kind = wanted.partition(":")
    if name != point:
        return
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "error":
        raise OSError(f"fault injected at {point}")
    raise ValueError(f"KEDGE_FAULT: needs kind kill or error; got {kind!r}. Write {point}:kill")
