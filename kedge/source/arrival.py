"""Arrival: which files of a source are complete and have not been taken yet. Standard library only: sensors call it.

A file is complete when `FILE.manifest` agrees with it or `FILE.done` exists, otherwise when it is unchanged for two
looks. It is hashed only when its size or time changed. The same bytes twice are one arrival; other bytes for a
known day are a new one.
"""

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from kedge.errors import KedgeError
from kedge.settings import Settings
from kedge.source.file import companion, fingerprint, source_manifest
from kedge.spec import Declaration

GROWING = "complete when it is the same at the next look"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A complete delivery; `partition@sha256` names it for ever."""

    partition: str
    path: Path
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
    arrivals: list[Arrival] = []
    state: dict[str, Any] = {}
    for partition, path in _found(settings.data, declaration.source.files or ""):
        entry = _entry(path, seen.get(str(path), {}), early=partition < declaration.partitions.start.isoformat())
        if entry is None:
            continue
        if entry.pop("arrived"):
            arrivals.append(Arrival(partition=partition, path=path, sha256=entry["taken"], bytes=entry["bytes"]))
        state[str(path)] = entry
    return arrivals, state


def waiting(seen: Mapping[str, Any]) -> dict[str, str]:
    """Files that a look held back, by path, with the reason."""
    return {path: entry["waiting"] for path, entry in sorted(seen.items()) if entry.get("waiting")}


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


def _found(base: Path, template: str) -> Iterator[tuple[str, Path]]:
    """Partition and path of everything that matches the template with a real date for `{date}`, in order of name."""
    parts = (base / template).parts
    place = next((n for n, part in enumerate(parts) if "{date}" in part), None)
    if place is None:  # replayed, or no files at all
        return
    folder, rest = Path(*parts[:place]), Path(*parts[place + 1 :])
    pattern = re.compile(re.escape(parts[place]).replace(re.escape("{date}"), "([0-9]{4}-[0-9]{2}-[0-9]{2})"))
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        match = pattern.fullmatch(entry.name)
        if match and _is_date(match[1]):
            yield match[1], entry / rest


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
