"""The pointer of a partition: a small file that names the current version; moving it is the commit.

It is sealed with the pipeline's digest secret and tied to its place: an edited one, or one of another partition, is
refused. An older one of the same place is not told by itself; `kedge verify` compares it with the audit trail.
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kedge import durable, faults
from kedge.errors import Tampered
from kedge.lake.seal import opened, sealed
from kedge.spec.canonical import as_written

if TYPE_CHECKING:
    from kedge.lake.dataset import Dataset
    from kedge.lake.version import Version

faults.register("lake.swap", steps=durable.REPLACE)

POINTER = "current.json"
_PURPOSE = b"kedge.pointer"


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


def read_pointer(dataset: "Dataset", partition: str) -> Pointer | None:
    """The pointer of a partition; None when nothing was ever made current.

    Raises:
        Tampered: the file is no pointer, was edited, or was written at another place.
    """
    place = f"{dataset.place}/{partition}"
    try:
        found = (dataset.path / partition / POINTER).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        body = opened(as_written(found), dataset.secrets.digest, _PURPOSE, place)
        pointer = Pointer(**body) if body else None
    except (ValueError, TypeError, AttributeError):
        raise _tampered(place, "bytes that are no pointer") from None
    if pointer is None:
        raise _tampered(place, "one that was edited, or was written at another place or in another lake")
    return pointer


def _tampered(place: str, got: str) -> Tampered:
    return Tampered(
        f"{place}/{POINTER}",
        need="the pointer to the current version, as it was written there",
        got=got,
        remedy="Restore the file from a backup, or remove it and run the stage again.",
        part="pointer",
    )


def swap(version: "Version", before: Pointer | None) -> Pointer:
    """Make `version` current; the caller holds the partition's lock and has compared `before`."""
    dataset, place = version.dataset, f"{version.dataset.place}/{version.partition}"
    sequence, moved = before.sequence + 1 if before else 1, datetime.now(UTC).isoformat(timespec="milliseconds")
    after = Pointer(version.id, sequence, writer(dataset.lake.run), moved)
    body = sealed(asdict(after), dataset.secrets.digest, _PURPOSE, place)
    durable.replace(dataset.path / version.partition / POINTER, json.dumps(body).encode(), point="lake.swap")
    return after
