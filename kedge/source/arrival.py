"""Arrival: which deliveries are complete and have not been taken yet. Standard library only: sensors call it.

A file is complete when `FILE.manifest` agrees with it or `FILE.done` exists, otherwise when it is unchanged for two
looks. It is hashed only when its size or time changed. The same bytes twice are one arrival; other bytes for a
known day are a new one. Where several files make a delivery, each has to be complete and two looks have to find the
same names; files that have gone are no arrival.
"""

import hashlib
import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedge.errors import KedgeError
from kedge.settings import Settings
from kedge.source import template
from kedge.source.file import companion, fingerprint, source_manifest
from kedge.spec import Declaration, Source

GROWING = "complete when it is the same at the next look"
UNDATED = "files by date_column"
"""Stands for the day where the rows say it, not the file's name."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A complete delivery; `partition@sha256` names it for ever.

    Attributes:
        partition: its day, or `UNDATED` when only its rows tell.
        paths: its files in order of name.
        sha256: of the file's bytes; of several files: of the list of their names and digests.
        bytes: of all files together.
    """

    partition: str
    paths: tuple[Path, ...]
    sha256: str
    bytes: int


def look(declaration: Declaration, settings: Settings, seen: Mapping[str, Any]) -> tuple[list[Arrival], dict[str, Any]]:
    """Look at a source once.

    Args:
        declaration: names the files by `source.files`; a replayed source has no arrivals.
        settings: relative paths start at `settings.data`.
        seen: what the previous look returned as second element; empty at first. JSON-able.

    Returns:
        Deliveries that are complete since the previous look, oldest day first, and the state for the next one.
        Files that have gone leave the state; `waiting` tells what is held back and why.
    """
    source, start = declaration.source, declaration.partitions.start.isoformat()
    together = template.holds_several(source.files or "") or source.date_column is not None
    arrivals: list[Arrival] = []
    state: dict[str, Any] = {}
    for partition, paths in _deliveries(settings.data, source):
        entries: dict[Path, dict[str, Any]] = {}
        for path in paths:
            entry = _entry(path, seen.get(str(path), {}), early=partition < start)
            if entry is not None:
                entries[path] = entry
        arrived = [path for path, entry in entries.items() if entry.pop("arrived")]
        state |= {str(path): entry for path, entry in entries.items()}
        if together and entries:
            arrived, state[partition] = _together(entries, seen.get(partition, {}))
        if arrived:
            arrivals.append(_arrival(partition, {path: entries[path] for path in arrived}, together=together))
    return arrivals, state


def waiting(seen: Mapping[str, Any]) -> dict[str, str]:
    """Files and days that a look held back, by path or day, with the reason."""
    return {path: entry["waiting"] for path, entry in sorted(seen.items()) if entry.get("waiting")}


def _deliveries(base: Path, source: Source) -> Iterator[tuple[str, list[Path]]]:
    """Partition and files of everything that matches the source's template."""
    if source.date_column is not None:
        yield UNDATED, template.of_day(base, source.files or "", "")
    else:
        yield from template.by_day(base, source.files or "")


def _arrival(partition: str, entries: Mapping[Path, Mapping[str, Any]], *, together: bool) -> Arrival:
    digests = {path.name: entry["taken"] for path, entry in entries.items()}
    (first, *_) = digests.values()
    return Arrival(
        partition=partition,
        paths=tuple(entries),
        sha256=hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest() if together else first,
        bytes=sum(entry["bytes"] for entry in entries.values()),
    )


def _together(
    entries: Mapping[Path, Mapping[str, Any]], before: Mapping[str, Any]
) -> tuple[list[Path], dict[str, Any]]:
    """Files of a delivery if it is complete and holds something new, and what is known of it after this look."""
    now = {"names": [path.name for path in entries], "taken": before.get("taken", {})}
    digests = {path.name: entry["sha256"] for path, entry in entries.items()}
    if any(entry["sha256"] is None or entry["sha256"] != entry["taken"] for entry in entries.values()):
        return [], now  # the files themselves say what they wait for
    if now["names"] != before.get("names"):
        return [], now | {"waiting": GROWING}
    if digests.items() <= now["taken"].items():
        return [], now
    return list(entries), now | {"taken": digests}


def _entry(path: Path, before: Mapping[str, Any], *, early: bool) -> dict[str, Any] | None:
    """What is known of one file after this look; `arrived` if it is complete and new; None if it has gone meanwhile."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    now = {"bytes": status.st_size, "time": status.st_mtime_ns}
    unchanged = all(before.get(key) == value for key, value in now.items())
    digest = before.get("sha256") if unchanged else None
    entry = now | {"taken": before.get("taken"), "sha256": digest, "arrived": False}
    if digest is not None and digest == entry["taken"]:
        return entry
    if not stat.S_ISREG(status.st_mode):
        return entry | {"waiting": "not a regular file"}
    if early:
        return entry | {"waiting": "before partitions.start"}
    try:
        return entry | _complete(path, entry, unchanged=unchanged)
    except FileNotFoundError:
        return None
    except KedgeError as error:
        return entry | {"waiting": str(error)}


def _complete(path: Path, entry: Mapping[str, Any], *, unchanged: bool) -> dict[str, Any]:
    """Changes to the entry: a digest and the arrival if the file is complete, else why it has to wait."""
    announced = source_manifest(path)
    if announced is not None and announced.bytes != entry["bytes"]:
        return {"waiting": f"{entry['bytes']} bytes where its manifest announces {announced.bytes}"}
    if announced is None and not unchanged and not companion(path, "done").exists():
        return {"waiting": GROWING}
    if entry["sha256"] is None:
        found = fingerprint(path)
        after = path.lstat()
        if (found.bytes, after.st_size, after.st_mtime_ns) != (entry["bytes"], entry["bytes"], entry["time"]):
            return {"waiting": "it changed while it was read"}
        digest = found.sha256
    else:
        digest = entry["sha256"]
    if announced is not None and announced.sha256 != digest:
        return {"sha256": digest, "waiting": "other content than its manifest announces"}
    return {"sha256": digest, "taken": digest, "arrived": digest != entry["taken"]}
