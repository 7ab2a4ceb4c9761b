"""Entries chosen by what they are about. Nothing in the log names a subject, so nothing here asks for one."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.audit.lines import LOG
from kedge.errors import Tampered, Terminal

_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}(:\d{2}(:\d{2})?)?)?")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What an entry has to say; what is None does not matter.

    Attributes:
        action, dataset, partition: as they are.
        version, run: their beginning.
        since, until: a day or a time of day, UTC, such as `2026-01-31` or `2026-01-31T06:30`; both included.
    """

    action: str | None = None
    dataset: str | None = None
    partition: str | None = None
    version: str | None = None
    run: str | None = None
    since: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        for name, moment in (("--since", self.since), ("--until", self.until)):
            if moment is not None and not _MOMENT.fullmatch(moment):
                need, remedy = "a day or a time (UTC) such as 2026-01-31 or 2026-01-31T06:30", "Write it so."
                raise Terminal(name, need=need, got="another text", remedy=remedy)

    def fits(self, entry: Mapping[str, Any]) -> bool:
        """Whether the entry itself says so."""
        time = str(entry["time"])
        if self.since is not None and time[: len(self.since)] < self.since:
            return False
        if self.until is not None and time[: len(self.until)] > self.until:
            return False
        alike = all(
            wanted is None or entry.get(name) == wanted
            for name, wanted in (("action", self.action), ("dataset", self.dataset), ("partition", self.partition))
        )
        begun = ((self.version, entry.get("version")), (self.run, entry.get("run")))
        return alike and all(wanted is None or str(found or "").startswith(wanted) for wanted, found in begun)


def select(folder: Path, choice: Choice) -> Iterator[tuple[int, dict[str, Any]]]:
    """Entries with their numbers, and the outcomes of those that are intents. Not verified.

    Raises:
        Terminal: there is no log.
        Tampered: a line is no entry.
    """
    if not (folder / LOG).exists():
        remedy = "Look at the pipeline's name and KEDGE_HOME, or run a night first."
        raise Terminal(f"audit/{folder.name}", need="a log", got="none", remedy=remedy)
    intents: set[int] = set()
    with (folder / LOG).open("rb") as file:
        for number, line in enumerate(file):
            if not line.endswith(b"\n"):
                return
            entry = _parsed(folder, number, line)
            if choice.fits(entry) or entry.get("of") in intents:
                if entry.get("phase") == "intent":
                    intents.add(number)
                yield number, entry


def _parsed(folder: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if isinstance(entry, dict) and "time" in entry:
        return entry
    need, remedy = f"an entry as number {number}", "Run: kedge audit verify."
    raise Tampered(f"audit/{folder.name}/{LOG}", need=need, got="another line", remedy=remedy, part="log")
