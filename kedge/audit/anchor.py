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
from kedge.durable import locked, make_folder, storage, sync_folder
from kedge.errors import Tampered, Terminal, Transient
from kedge.spec.audit import S3

if TYPE_CHECKING:
    from kedge.audit.checkpoint import Checkpoint
    from kedge.audit.log import Log

faults.register("audit.anchor", steps=("before", "opened", "written", "after"))

_NOTE = re.compile(r"kedge/([0-9A-Za-z_-]{1,64}/[A-Za-z_][A-Za-z0-9_]{0,62})\n(0|[1-9][0-9]{0,11})\n")
_REMEDY = "The log is a fork or an old copy that was put back. Run: kedge audit verify."


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

    def newest(self, origin: str) -> str | None:
        """The signed checkpoint of the largest size of the log `origin`; None if there is none. Raises as `all`."""
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
            handle = _opened(path, data)
            faults.reach("audit.anchor.opened")
            if handle is not None:
                with os.fdopen(handle):
                    _complete(path, handle, data)
            sync_folder(path.parent)
            faults.reach("audit.anchor.after")

    def all(self) -> list[str]:
        self._require()
        with storage(str(self.folder)):
            found = sorted((self.folder / self._below).glob("[0-9]*" if self._below else "*/*/[0-9]*"))
            return [text for text in map(_read, found) if whole(text)]

    def newest(self, origin: str) -> str | None:
        self._require()
        with storage(str(self.folder)):
            found = sorted((self.folder / folder_of(origin)).glob("[0-9]*"), reverse=True)
            return next(filter(whole, map(_read, found)), None)

    def _require(self) -> None:
        if not self.folder.is_dir():
            need, remedy = "the folder that the declaration names as anchor", "Mount the disk, or make the folder once."
            raise Transient(str(self.folder), need=need, got="none", remedy=remedy)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _opened(path: Path, data: bytes) -> int | None:
    """A new file, or one whose writer was cut off; None if the checkpoint is there. Never one to be replaced.

    Raises:
        Tampered: another checkpoint is there.
    """
    faults.reach("audit.anchor.before")
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return os.open(path, flags) if _rest(path, path.read_bytes(), data) else None


def _rest(path: Path, there: bytes, data: bytes) -> bytes:
    """What is missing of `data` in a file that holds `there`.

    Raises:
        Tampered: it holds something else.
    """
    if data.startswith(there):
        return data[len(there) :]
    if body(there.decode(errors="replace")) != body(data.decode()):
        raise another(str(path))
    return b""  # the same statement, signed otherwise


def _complete(path: Path, handle: int, data: bytes) -> None:
    """Append what is missing. Two processes may anchor the same checkpoint: the second waits for the first."""
    with locked(handle):
        rest = _rest(path, os.pread(handle, 2 * len(data), 0), data)
        while rest:
            rest = rest[os.write(handle, rest) :]
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


def anchor(log: "Log", kept: Anchor) -> "Checkpoint":
    """Sign what is durable of `log` and keep the checkpoint in `kept` too, if the log continues what is kept there.

    Raises:
        Tampered: the newest checkpoint kept there is not signed by this log, is longer than it, or is not its
            beginning: the log is a fork or an old copy.
        Transient: the place does not answer.
        Terminal: it refuses.
    """
    newest = kept.newest(log.origin)  # before signing: what others anchor meanwhile may be longer
    checkpoint = log.sign()
    if newest is not None:
        _require_continued(log, newest, checkpoint)
    kept.put(log.signed(checkpoint))
    return checkpoint


def _require_continued(log: "Log", newest: str, checkpoint: "Checkpoint") -> None:
    from kedge.audit.checkpoint import parse_signed
    from kedge.audit.lines import TREE
    from kedge.audit.tree import Tree, verify_consistency

    try:
        older = parse_signed(newest, log.vkey)
    except Tampered as error:
        raise error.of("anchor") from None
    if older.size > checkpoint.size:
        need, got = f"at least the {older.size} entries that are anchored", f"{checkpoint.size}"
        raise Tampered(f"{log.origin}", need=need, got=got, remedy=_REMEDY, part="anchor")
    tree = Tree(log.folder / TREE, size=checkpoint.size)
    try:
        hashes = tree.consistency(older.size, checkpoint.size)
    finally:
        tree.close()
    if not verify_consistency(older.size, checkpoint.size, older.root, checkpoint.root, hashes):
        raise another(f"{log.origin}, its first {older.size} entries")


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


def whole(text: str) -> bool:
    """Whether the text has its signature; one whose writer was cut off says nothing."""
    return text.endswith("\n") and "\n\n\u2014 " in text


def another(where: str) -> Tampered:
    """The error for two different checkpoints of one size."""
    need = "what was signed for this size of the log"
    return Tampered(where, need=need, got="another history", remedy=_REMEDY, part="anchor")
