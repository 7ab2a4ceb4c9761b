"""What the training process leaves: the model and its result, sealed, or the error it ended with.

The key is made for one training and comes with its task, so neither is on a disk in plaintext, and what another process
put there does not open.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge import durable, errors, faults
from kedge.errors import KedgeError, Terminal
from kedge.training.sealed import seal, unseal

faults.register("training.worker", steps=("file", "result"))

RESULT, ERROR = "result.json", "error.json"

_FIELDS = ("setting", "need", "got", "remedy")
_CLASSES = (errors.Terminal, errors.Transient, errors.Tampered, errors.Conflict, errors.Blocked)


def describe(error: KedgeError) -> dict[str, str]:
    """An error as JSON."""
    return {"class": type(error).__name__, **{name: getattr(error, name) for name in _FIELDS}}


def raise_left(out: Path) -> None:
    """Raise the error that the training process left, if it left one."""
    said = _read(out / ERROR)
    if said is None:
        return
    cls, words = _parsed(said)
    raise cls(*words[:1], **dict(zip(_FIELDS[1:], words[1:], strict=True)))


def _parsed(said: bytes) -> tuple[type[KedgeError], list[str]]:
    try:
        left = json.loads(said)
        words = [str(left[name]) for name in _FIELDS]
        return {known.__name__: known for known in _CLASSES}.get(str(left["class"]), Terminal), words
    except (ValueError, KeyError, TypeError):
        return Terminal, ["the training process", "to say how it ended", "bytes that are no error", "Look at its log."]


def leave(out: Path, files: Mapping[str, bytes], result: Mapping[str, Any], key: bytes) -> None:
    """Write the model's files, then the result; all sealed under the training's key."""
    with durable.storage("the folder of the training process"):
        for name, data in files.items():
            (out / name).write_bytes(seal(key, data, name))
            faults.reach("training.worker.file")
        faults.reach("training.worker.result")
        (out / RESULT).write_bytes(seal(key, json.dumps(result).encode(), RESULT))


def result(out: Path, key: bytes) -> dict[str, Any]:
    """What the training process measured.

    Raises:
        Terminal: it left nothing although it ended well.
        Tampered: it is not what was sealed there.
    """
    found: dict[str, Any] = json.loads(take(out, RESULT, key))
    return found


def take(out: Path, name: str, key: bytes) -> bytes:
    """A file that the training process left.

    Raises:
        Terminal: there is none, although it ended well.
        Tampered: it is not what was sealed there.
    """
    sealed = _read(out / name)
    if sealed is None:
        raise Terminal(
            "the training process",
            need="a model and its result",
            got=f"no {name}, although it ended without an error",
            remedy="Look at its log; check that the launcher waits for it.",
        )
    return unseal(key, sealed, name)


def _read(path: Path) -> bytes | None:
    """A regular file's bytes; a link or a pipe in its place would lead its reader astray."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read()
