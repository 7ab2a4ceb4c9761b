"""Anchors: a second place that keeps every signed checkpoint, so that a log which is cut or replaced is found out.

A checkpoint (C2SP tlog-checkpoint) says how long a log was and what its Merkle root was. Each is kept under the log's
origin and size, `<lake id>/<pipeline>/<size:012d>`, and is created exclusively: nothing here ever replaces a file or
an object. Whether somebody else can is the place's own business (a write-once mount, another owner, an S3 bucket with
Object Lock); see docs/declaration.md.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kedge import faults
from kedge.durable import make_folder, storage, sync_folder
from kedge.errors import Tampered, Terminal, Transient
from kedge.spec.audit import S3

if TYPE_CHECKING:
    from kedge.audit.checkpoint import Checkpoint
    from kedge.audit.log import Log

faults.register("audit.anchor", steps=("before", "opened", "written", "after"))

_NOTE = re.compile(r"kedge/([0-9A-Za-z_-]{1,64}/[A-Za-z_][A-Za-z0-9_]{0,62})\n(0|[1-9][0-9]{0,11})\n")


class Anchor(Protocol):
    """A place that keeps checkpoints of any number of logs."""

    def put(self, text: str) -> None:
        """Keep a signed checkpoint; one that is there already changes nothing.

        Raises:
            Tampered: another checkpoint of that log and size is there: one of the two logs is a fork.
            Transient: the place does not answer.
            Terminal: the place refuses.
        """
        ...

    def all(self) -> list[str]:
        """Every signed checkpoint of this anchor's log (of all logs, without one), by size.

        Raises:
            Transient: the place does not answer.
            Terminal: the place refuses.
        """
        ...


class FileAnchor:
    """A folder on another disk, best one whose files nobody can change: a write-once mount, another machine's export.

    Args:
        folder: has to be there; a mount that is missing must not become a folder of the disk below it.
        origin: the log whose checkpoints `all` lists; all logs without one.
    """

    def __init__(self, folder: Path, origin: str | None = None) -> None:
        self.folder = folder
        self._below = folder_of(origin) if origin else ""

    def put(self, text: str) -> None:
        data = text.encode()
        self._require()
        path = self.folder / place(text)
        with storage(str(path)):
            make_folder(path.parent, mode=0o755)
            faults.reach("audit.anchor.before")
            if not _create(path, data):
                _complete(path, data)
            sync_folder(path.parent)
            faults.reach("audit.anchor.after")

    def all(self) -> list[str]:
        self._require()
        with storage(str(self.folder)):
            found = sorted((self.folder / self._below).glob("[0-9]*" if self._below else "*/*/[0-9]*"))
            texts = [path.read_text(encoding="utf-8", errors="replace") for path in found]
        return [text for text in texts if text]  # an empty one: its writer was killed before the first byte

    def _require(self) -> None:
        if not self.folder.is_dir():
            need, remedy = "the folder that the declaration names as anchor", "Mount the disk, or make the folder once."
            raise Transient(str(self.folder), need=need, got="none", remedy=remedy)


def _create(path: Path, data: bytes) -> bool:
    """Write a new file in one call and fsync it; False if there is one of that name."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(handle, "wb") as file:
        faults.reach("audit.anchor.opened")
        _append(file.fileno(), data)
    return True


def _complete(path: Path, data: bytes) -> None:
    """Look at the file that is there; one whose writer was killed gets its rest, by appending only.

    Raises:
        Tampered: it is another checkpoint.
    """
    there = path.read_bytes()
    if there == data:
        return
    if not data.startswith(there):
        if body(there.decode(errors="replace")) != body(data.decode()):
            raise another(str(path))
        return
    faults.reach("audit.anchor.opened")
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "ab") as file:
        _append(file.fileno(), data[len(there) :])


def _append(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]
    faults.reach("audit.anchor.written")
    os.fsync(handle)


def open_anchor(url: str, *, origin: str | None = None, home: Path | None = None) -> Anchor:
    """The anchor that a declaration names.

    Args:
        url: an absolute folder, or `s3://bucket/prefix`.
        origin: the log whose checkpoints `all` lists, such as `kedge/<lake id>/<pipeline>`.
        home: `KEDGE_HOME`; an anchor must not lie in it.

    Raises:
        Terminal: the anchor lies inside `home`, where whoever replaces the log replaces it too.
    """
    if url.startswith(S3):
        from kedge.audit.s3 import S3Anchor

        bucket, _, prefix = url.removeprefix(S3).partition("/")
        return S3Anchor(bucket, prefix.strip("/"), origin)
    if home is not None:
        refuse_inside(url, home)
    return FileAnchor(Path(url), origin)


def refuse_inside(url: str, home: Path) -> None:
    """Refuse a folder inside `home`.

    Raises:
        Terminal: it is one.
    """
    if url.startswith(S3) or not Path(url).resolve().is_relative_to(home.resolve()):
        return
    need = "a place outside KEDGE_HOME: whoever replaces the log there would replace its checkpoints too"
    raise Terminal("audit.anchor", need=need, got="a folder inside it", remedy="Name a folder of another disk.")


def same_disk(url: str, home: Path) -> bool:
    """Whether the anchor is a folder of the very disk that `home` is on, and is lost or restored with it."""
    folder = Path(url)
    return not url.startswith(S3) and folder.is_dir() and home.is_dir() and folder.stat().st_dev == home.stat().st_dev


def anchor(log: "Log", place: Anchor) -> "Checkpoint":
    """Sign what is durable of `log` and keep the checkpoint in `place`, too.

    Raises:
        Tampered: `place` holds another checkpoint of that size.
        Transient: it does not answer.
        Terminal: it refuses.
    """
    checkpoint = log.sign()
    place.put(log.signed(checkpoint))
    return checkpoint


def place(text: str) -> str:
    """Where a signed checkpoint is kept: `<lake id>/<pipeline>/<size:012d>`.

    Raises:
        Tampered: it does not begin as a checkpoint of kedge does.
    """
    match = _NOTE.match(text)
    if match is None:
        need, remedy = "a checkpoint: origin, size, root", "Run: kedge audit verify."
        raise Tampered("checkpoint", need=need, got="another text", remedy=remedy, part="checkpoint")
    return f"{match[1]}/{int(match[2]):012d}"


def folder_of(origin: str) -> str:
    """`<lake id>/<pipeline>` of a log's origin.

    Raises:
        Tampered: it is no origin of kedge's.
    """
    return place(f"{origin}\n0\n").rpartition("/")[0]


def body(text: str) -> str:
    """What a signed checkpoint says, without its signatures."""
    return text.partition("\n\n")[0]


def another(where: str) -> Tampered:
    """The error for two different checkpoints of one size."""
    need = "the checkpoint that was signed for this size of the log"
    remedy = "One of the two logs is a fork or a restored copy. Run: kedge audit verify."
    return Tampered(where, need=need, got="another one of that size", remedy=remedy, part="anchor")
