"""Dropping a night into an inbox the way a careful sender does: the file whole or not at all, then its manifest."""

import hashlib
import json
import os
from pathlib import Path

import polars as pl


def drop(frame: pl.DataFrame, target: Path) -> Path:
    """Write `frame` as CSV to `target`, then `target.manifest` with `{"bytes", "sha256"}`; both appear at once.

    The old manifest of a file delivered again goes first: bytes and manifest never contradict each other.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    data = frame.write_csv().encode()
    manifest = target.with_name(f"{target.name}.manifest")
    manifest.unlink(missing_ok=True)
    _appear(target, data)
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    _appear(manifest, json.dumps(facts).encode())
    return target


def _appear(path: Path, data: bytes) -> None:
    """Write beside the place under a name that no `{date}` template matches, then rename."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
