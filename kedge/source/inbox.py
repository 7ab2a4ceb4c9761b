"""The inbox: a file checked against its manifest before it is taken, and what becomes of it afterwards."""

from pathlib import Path

from kedge import durable, faults
from kedge.errors import Terminal
from kedge.source.file import Fingerprint, companion, fingerprint, source_manifest
from kedge.source.template import ARCHIVE

faults.register("source.after", steps=("before", "archive", "file", "after"))

Identity = tuple[int, int, int]


def checked(path: Path, key: bytes) -> Fingerprint:
    """Fingerprint of the file, which agrees with its manifest if it has one.

    Raises:
        Terminal: it does not, or it is no regular file.
    """
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


def identity(path: Path) -> Identity | None:
    """Which file lies there, as far as it can be told without reading it; None if there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def tidy(after: str, path: Path, sha256: str) -> None:
    """Keep, delete or archive the file and what was beside it; a second call finds nothing left to do."""
    if after == "keep":
        return
    faults.reach("source.after.before")
    with durable.storage(path.name):
        _tidy(after, path, sha256)
    faults.reach("source.after.after")


def _tidy(after: str, path: Path, sha256: str) -> None:
    for file in (companion(path, "manifest"), companion(path, "done"), path):
        if after == "delete":
            file.unlink(missing_ok=True)
        elif file.exists():
            _archive(file, sha256)
        faults.reach("source.after.file")


def _archive(file: Path, sha256: str) -> None:
    """Move into the folder `archive` beside the file; a second delivery of a day gets a name of its own."""
    target = file.parent / ARCHIVE / file.name
    if target.exists():
        target = target.with_name(f"{sha256[:12]}.{file.name}")
    durable.make_folder(target.parent, mode=0o700)
    faults.reach("source.after.archive")
    file.replace(target)
