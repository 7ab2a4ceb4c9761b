"""Reading the log for unusual access: from the start, or what is new since the last look.

The log's own file is read, line by line: no key is opened, nothing is written into it, and a look costs what is new.
The memory of the rules lies beside it (`unusual.json`): a note to ourselves, made again from the log when it is lost.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from kedge import durable
from kedge.audit.alert import Alert
from kedge.audit.unusual import Watch
from kedge.errors import Tampered
from kedge.spec import Declaration

MEMORY = "unusual.json"
AT_ONCE = 20_000
"""Entries of one look, so that it takes seconds whatever has piled up."""

_LOG = "log.jsonl"
_FORMAT = 1


@dataclass(frozen=True)
class Look:
    """What a look found.

    Attributes:
        alerts: of entries that no look had told before.
        entry: the first entry that was not looked at yet; to be given to the next look.
        more: whether there are further ones already.
    """

    alerts: tuple[Alert, ...]
    entry: int
    more: bool


def watch(declaration: Declaration) -> Watch:
    """The declared rules, without memory."""
    return Watch(declaration.audit.unusual, declaration.partitions.timezone, declaration.training.window)


def every(folder: Path, declaration: Declaration, since: date | None = None) -> Iterator[Alert]:
    """All alerts of the log in `folder`, or those of entries from the local day `since` on.

    Raises:
        Tampered: a line is no entry.
    """
    rules, first = watch(declaration), "" if since is None else since.isoformat()
    for number, _, line in _lines(folder, 0, 0):
        yield from (alert for alert in _told(rules, folder, number, line) if alert.day >= first)


def look(folder: Path, declaration: Declaration, since: int) -> Look:
    """What is unusual in at most `AT_ONCE` new entries of the log in `folder`.

    Args:
        since: entries before it have been told.

    Raises:
        Tampered: the log is shorter than it was, or a line is no entry.
        Transient: the disk does not take the memory.
    """
    rules, (number, offset) = watch(declaration), (0, 0)
    memory = _remembered(folder)
    if memory is not None and memory["entry"] <= since:
        number, offset = memory["entry"], memory["offset"]
        rules.resume(memory["watch"])
    start, alerts, more = number, [], False
    for at, end, line in _lines(folder, number, offset):
        if at - start == AT_ONCE:
            more = True
            break
        alerts += _told(rules, folder, at, line)
        number, offset = at + 1, end
    if number > start:
        note = {"format": _FORMAT, "entry": number, "offset": offset, "watch": rules.to_json()}
        with durable.storage(f"audit/{folder.name}"):
            (folder / MEMORY).write_text(json.dumps(note))
    return Look(tuple(alert for alert in alerts if alert.last >= since), max(number, since), more)


def _lines(folder: Path, number: int, offset: int) -> Iterator[tuple[int, int, bytes]]:
    """Number, end and bytes of each whole line from `offset` on, which is where entry `number` starts."""
    with suppress(FileNotFoundError), (folder / _LOG).open("rb") as file:
        if file.seek(0, 2) < offset:
            raise _tampered(folder, f"{offset} bytes, which it had", "fewer")
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):  # is being written
                return
            offset += len(line)
            yield number, offset, line
            number += 1


def _told(rules: Watch, folder: Path, number: int, line: bytes) -> list[Alert]:
    try:
        return rules.look(number, json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _tampered(folder, f"an entry as number {number}", "something else") from None


def _remembered(folder: Path) -> dict[str, Any] | None:
    try:
        memory: dict[str, Any] = json.loads((folder / MEMORY).read_text())
    except (FileNotFoundError, ValueError):  # none yet, or its writer was killed
        return None
    return memory if memory.get("format") == _FORMAT else None


def _tampered(folder: Path, need: str, got: str) -> Tampered:
    remedy = f"Run: kedge audit verify {folder.name}."
    return Tampered(f"audit/{folder.name}/{_LOG}", need=need, got=got, remedy=remedy, part="log")
