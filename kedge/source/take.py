"""Take a delivery into the lake: the dataset `raw`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from kedge import faults
from kedge.errors import Terminal, Transient
from kedge.lake import Draft, Outcome, produce
from kedge.outcome import Findings
from kedge.source import calendar
from kedge.source.file import Fingerprint, companion, fingerprint, source_manifest
from kedge.source.read import Delivery
from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.workspace import Workspace

# Raised by hand whenever the same delivery would give other rows; a golden digest in the tests guards it.
CODE_VERSION = 1
faults.register("source.after.before", "source.after.file")


def take(ws: "Workspace", declaration: Declaration, partition: str) -> Outcome:
    """Take the delivery of a partition in: text as received, encrypted, with `_row` (its position).

    The same bytes again write nothing; other bytes for a known day make a new version. What `source.after` says
    happens to the file once its rows are in the lake. When the file has gone and its day is in the lake, the lake
    answers.

    Raises:
        Transient: the file is not there yet, or changes while it is read.
        Terminal: it is not what its manifest announces, or no such CSV file.
    """
    path = calendar.delivery_path(declaration, ws.settings, partition)
    if not path.exists() and not path.is_symlink():
        return _in_the_lake(ws, declaration, partition, path)
    if declaration.source.replay is not None:
        return _replay(ws, declaration, partition, path)
    identity = _identity(path)
    found = _checked(path, ws.secrets(declaration.name).digest)
    delivery = Delivery(
        path=path,
        source=declaration.source,
        declared=tuple(declaration.columns),
        keyed=found.keyed,
        key=ws.secrets(declaration.name).digest,
    )
    outcome = _produce(ws, declaration, partition, delivery.scan(), found.keyed, {"file_bytes": found.bytes})
    if identity == _identity(path):  # else a newer delivery has come meanwhile: the next run takes it
        _afterwards(declaration, path, found.sha256)
    return outcome


def _replay(ws: "Workspace", declaration: Declaration, partition: str, path: Path) -> Outcome:
    """A night of a replayed file; its digest is that of its rows, so that a longer file leaves old nights valid."""
    rows = calendar.replayed(declaration, partition)
    if source_manifest(path) is not None:
        _checked(path, b"")
    delivery = Delivery(path=path, source=declaration.source, declared=tuple(declaration.columns))
    frame = delivery.rows(rows)
    if frame.is_empty():
        raise Terminal(
            path.name,
            need=f"more than {rows.start} rows for {partition}, {declaration.source.replay} of them a night",
            got="a file that has ended before",
            remedy="End with an earlier day, or send a longer file.",
        )
    keyed = hashlib.blake2b(key=ws.secrets(declaration.name).digest, digest_size=32)
    keyed.update(frame.drop("_row").write_csv(quote_style="always", null_value="\x00").encode())
    return _produce(ws, declaration, partition, frame.lazy(), keyed.hexdigest(), {"first_row": rows.start})


def _checked(path: Path, key: bytes) -> Fingerprint:
    """Fingerprint of the file, which agrees with its manifest if it has one."""
    found, announced = fingerprint(path, key), source_manifest(path)
    difference = announced.difference(found) if announced else None
    if difference:
        raise Terminal(
            path.name,
            need="the file that its .manifest announces",
            got=difference,
            remedy="Ask the sender for the file and its manifest again.",
        )
    return found


def _produce(
    ws: "Workspace",
    declaration: Declaration,
    partition: str,
    frame: pl.LazyFrame,
    delivered: str,
    facts: Mapping[str, int],
) -> Outcome:
    dataset = ws.dataset(declaration.name, "raw")
    inputs, declared = {"delivery": delivered}, declaration.part("raw")
    before = dataset.current(partition)

    def write(draft: Draft) -> Findings:
        draft.write_frame(frame)
        known = before is not None and before.manifest.inputs != inputs
        source = {"source": declaration.source.files, "delivery": delivered, "replaces_delivery": known}
        return Findings(facts=source | dict(facts), notes={"raw": draft.version})

    return produce(dataset, partition, inputs=inputs, declared=declared, code=CODE_VERSION, write=write)


def _in_the_lake(ws: "Workspace", declaration: Declaration, partition: str, path: Path) -> Outcome:
    version = ws.dataset(declaration.name, "raw").current(partition)
    if version is None:
        raise Transient(
            str(declaration.source.files).replace("{date}", partition),
            need="the delivery of that day",
            got="no such file" if path.parent.is_dir() else "no such folder",
            remedy="Wait for the sender, or set KEDGE_DATA to the folder where relative paths start.",
        )
    return Outcome(version=version, written=False)


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _afterwards(declaration: Declaration, path: Path, sha256: str) -> None:
    """Keep, delete or archive the file and what was beside it; a second call finds nothing left to do."""
    after = declaration.source.after
    if after == "keep":
        return
    faults.reach("source.after.before")
    for file in (companion(path, "manifest"), companion(path, "done"), path):
        if after == "delete":
            file.unlink(missing_ok=True)
        elif file.exists():
            _archive(file, sha256)
        faults.reach("source.after.file")


def _archive(file: Path, sha256: str) -> None:
    """Move into the folder `archive` beside the file; a second delivery of a day gets a name of its own."""
    target = file.parent / "archive" / file.name
    if target.exists():
        target = target.with_name(f"{sha256[:12]}.{file.name}")
    target.parent.mkdir(mode=0o700, exist_ok=True)
    file.replace(target)
