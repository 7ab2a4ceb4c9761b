"""Entries of the log: canonical bytes (RFC 8785), and the facts that every entry has.

An entry is a flat JSON object. Floats are refused, because no two languages agree on how to write them, and integers
beyond 2^53-1, because JSON readers round them. What is left, Python's encoder writes as RFC 8785 asks for.
"""

import functools
import json
import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from kedge.errors import Terminal

Entry = dict[str, Any]

_LARGEST = 2**53 - 1
_PLAIN = frozenset({str, bool, type(None)})
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_NEED = "texts, whole numbers within 2^53-1, booleans, null, lists and objects of these, under names in ASCII"


@dataclass(frozen=True)
class Actor:
    """Who acts: an identity that somebody authenticated, or else the user of the operating system.

    Attributes:
        uid: number of the operating system's user; None where the identity comes from elsewhere.
    """

    kind: Literal["os", "authenticated"]
    name: str
    uid: int | None = None

    @classmethod
    def of_system(cls) -> "Actor":
        """The user whom this process runs as; a number without a name in containers that know none."""
        uid = os.getuid()
        try:
            return cls("os", pwd.getpwuid(uid).pw_name, uid)
        except KeyError:
            return cls("os", f"uid {uid}", uid)


def record(
    pipeline: str,
    action: str,
    phase: Literal["intent", "outcome", "event"],
    *,
    actor: Actor | None = None,
    run: str | None = None,
    why: str | None = None,
    config: str | None = None,
    **facts: Any,
) -> Entry:
    """An entry as of now: what every entry has, and `facts`."""
    return {
        "time": now(),
        "action": action,
        "phase": phase,
        "actor": asdict(actor or Actor.of_system()),
        "run": run,
        "process": {"pid": os.getpid(), "host": socket.gethostname()},
        "why": why,
        "pipeline": pipeline,
        "code": code_digest(),
        "config": config,
        **facts,
    }


def now() -> str:
    """This moment: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@functools.cache
def code_digest() -> str:
    """SHA-256 over the names and digests of kedge's own source files, as hexadecimal digits; read once per process."""
    root, total = Path(__file__).parents[1], sha256()
    for path in sorted(root.rglob("*.py")):
        total.update(f"{path.relative_to(root).as_posix()}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def encode(entry: Mapping[str, Any]) -> bytes:
    """The canonical bytes of an entry by RFC 8785, without a line end.

    Raises:
        Terminal: it holds something that has no canonical form here. Names the field, never its value.
    """
    for name, value in entry.items():
        if not (isinstance(name, str) and name.isascii() and (type(value) in _PLAIN or _clean(value))):
            raise _refused(name)
    try:
        return _ENCODER.encode(dict(entry)).encode()
    except UnicodeEncodeError:
        pass  # half of a surrogate pair; the error quotes the text, so that nothing of it is chained
    raise Terminal("audit entry", need="texts of whole characters", got="half of one", remedy="Mend the text.")


def _clean(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and name.isascii() for name in value) and all(map(_clean, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_clean, value))
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    return value is None or isinstance(value, str)


def _refused(name: object) -> Terminal:
    field = name if isinstance(name, str) and name.isascii() and name.isprintable() else "a name"
    return Terminal(
        f"audit entry ({field})",
        need=_NEED,
        got="something else",
        remedy="Write numbers with a fraction as text or count in a smaller unit.",
    )
