"""The pointer of a partition: a small file that names the current version; moving it is the commit."""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Tampered

faults.register("lake.swap", steps=durable.REPLACE)

_FILE = "current.json"


@dataclass(frozen=True)
class Pointer:
    """Which version of a partition is current, and who made it so.

    Attributes:
        version: id of the current version.
        sequence: 1 for the first version, one more with each move, so that a move there and back is noticed.
        writer: `run` (None without an orchestrator), `pid`, `host`.
        moved: time of the move (ISO 8601, UTC).
    """

    version: str
    sequence: int
    writer: Mapping[str, Any]
    moved: str

    @property
    def winner(self) -> str:
        """Version and writer, for the conflict that the loser of a race gets."""
        run = self.writer.get("run")
        who = f"run {run}" if run else f"process {self.writer.get('pid')} on {self.writer.get('host')}"
        return f"version {self.version}, made current by {who} at {self.moved}"


def writer(run: str | None) -> dict[str, Any]:
    """Who writes: the orchestrator's run if there is one, and the process."""
    return {"run": run, "pid": os.getpid(), "host": socket.gethostname()}


def read_pointer(folder: Path, place: str) -> Pointer | None:
    """The pointer of the partition `folder`; None when nothing was ever made current.

    Raises:
        Tampered: the file is no pointer.
    """
    try:
        return Pointer(**json.loads((folder / _FILE).read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError):
        raise Tampered(
            f"{place}/{_FILE}",
            need="the pointer to the current version",
            got="bytes that are no pointer",
            remedy="Restore the file from a backup, or remove it and run the stage again.",
            part="pointer",
        ) from None


def swap(folder: Path, before: Pointer | None, version: str, who: Mapping[str, Any]) -> Pointer:
    """Make `version` current; the caller holds the partition's lock and has compared `before`."""
    sequence = before.sequence + 1 if before else 1
    after = Pointer(version, sequence, dict(who), datetime.now(UTC).isoformat(timespec="milliseconds"))
    durable.replace(folder / _FILE, json.dumps(asdict(after)).encode(), point="lake.swap")
    return after
