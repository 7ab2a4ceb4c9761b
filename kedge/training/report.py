"""What the training process leaves beside the model: its result, or the error it ended with."""

import json
from pathlib import Path
from typing import Any

from kedge import errors
from kedge.errors import KedgeError, Terminal

RESULT, ERROR = "result.json", "error.json"

_FIELDS = ("setting", "need", "got", "remedy")
_CLASSES = (errors.Terminal, errors.Transient, errors.Tampered, errors.Conflict, errors.Blocked)


def describe(error: KedgeError) -> dict[str, str]:
    """An error as JSON."""
    return {"class": type(error).__name__, **{name: getattr(error, name) for name in _FIELDS}}


def raise_left(out: Path) -> None:
    """Raise the error that the training process left, if it left one."""
    path = out / ERROR
    if not path.is_file():
        return
    left = json.loads(path.read_bytes())
    cls = {known.__name__: known for known in _CLASSES}.get(left["class"], Terminal)
    raise cls(left["setting"], **{name: left[name] for name in _FIELDS[1:]})


def result(out: Path) -> dict[str, Any]:
    """What the training process measured.

    Raises:
        Terminal: it left nothing although it ended well.
    """
    path = out / RESULT
    if not path.is_file():
        raise Terminal(
            "the training process",
            need="a model and its result",
            got="neither, although it ended without an error",
            remedy="Look at its log; check that the launcher waits for it.",
        )
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
