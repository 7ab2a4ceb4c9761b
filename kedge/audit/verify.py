"""A whole log against its signed checkpoints: the first bad entry, and what was done to it.

One pass over the lines, with the roots of the complete subtrees in memory, compares the log with every checkpoint, its
own and those of an anchor. Where something does not fit, the leaf hashes in `tree` tell which entry, as far as they
give a signed root; without them the answer is the entries between the last checkpoint that fits and the first that
does not. `tools/verify.py` is a second, independent writing of the same rules, for whoever does not trust kedge.
"""

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

from kedge.audit.checkpoint import Checkpoint, parse_signed, parse_verifier_key, read_all
from kedge.audit.entry import encode
from kedge.audit.lines import LOG, TREE
from kedge.audit.log import CHECKPOINTS
from kedge.audit.tree import HASH_BYTES, leaf_hash, node_hash, root_of
from kedge.errors import KedgeError, Part, Tampered, Terminal

Kind: TypeAlias = Literal[
    "edit", "delete", "insert", "reorder", "altered", "truncation", "fork", "rollback", "checkpoint", "line"
]
"""What was done. `altered`: edited, deleted, inserted or in another order, and nothing is left that tells which."""

_GOT: dict[Kind, str] = {
    "edit": "another one",
    "delete": "the one after it: it was taken out",
    "insert": "one that was put in",
    "reorder": "one from another place",
}
_REMEDY = "Keep the folder as it is, find out who wrote to it, and restore it from a backup."


class LogTampered(Tampered):
    """The log is not what was signed.

    Attributes:
        kind: what was done.
        entry: number of the first bad entry.
        end: the entry after the last that may be the first bad one; `entry + 1` where it is known exactly.
    """

    kind: Kind = "altered"
    entry: int = 0
    end: int = 1

    def __reduce__(self) -> tuple[Any, ...]:
        return *super().__reduce__()[:2], {"part": self.part, "kind": self.kind, "entry": self.entry, "end": self.end}


@dataclass(frozen=True)
class Verified:
    """What a sound log holds.

    Attributes:
        size: number of entries, `root` that of their tree (32 bytes).
        signed_size: entries that the log's last checkpoint covers.
        anchored_size: entries that the largest checkpoint kept elsewhere covers; 0 without one.
        unsigned_tail: entries after the last checkpoint: a process was killed before it signed, or is about to.
    """

    size: int
    root: bytes
    signed_size: int
    anchored_size: int
    unsigned_tail: int


def verify(folder: Path, vkey: str, anchors: Sequence[Checkpoint] = ()) -> Verified:
    """Read the log in `folder` once; it may grow meanwhile.

    Args:
        vkey: verifier key, best one that was kept elsewhere.
        anchors: checkpoints that were kept elsewhere, verified by the same key.

    Raises:
        LogTampered: something does not fit; names the first bad entry.
        Terminal: there is no log.
    """
    return _Verification(folder, vkey, anchors).verified()


@dataclass(frozen=True)
class _Signed:
    """A signed size and root, and whether it was kept elsewhere."""

    size: int
    root: bytes
    anchored: bool


class _Peaks:
    """Roots of the complete subtrees of the leaves so far."""

    def __init__(self) -> None:
        self.size, self._peaks = 0, list[bytes]()

    def append(self, leaf: bytes) -> None:
        size, joined = self.size, leaf
        while size & 1:
            joined = node_hash(self._peaks.pop(), joined)
            size >>= 1
        self._peaks.append(joined)
        self.size += 1

    def root(self) -> bytes:
        return root_of(self._peaks)


class _Verification:
    def __init__(self, folder: Path, vkey: str, anchors: Sequence[Checkpoint]) -> None:
        self._folder = folder
        if not (folder / LOG).exists() and not (folder / CHECKPOINTS).exists() and not anchors:
            remedy = "Look at the pipeline's name, or run a night first."
            raise Terminal(f"audit/{folder.name}", need="a log", got="none", remedy=remedy)
        self._own = self._checkpoints(vkey)
        own = [_Signed(one.size, one.root, anchored=False) for one in self._own]
        elsewhere = [_Signed(one.size, one.root, anchored=True) for one in sorted(anchors, key=lambda one: one.size)]
        self._signed = list(heapq.merge(own, elsewhere, key=lambda one: one.size))
        self._signed_size = max((one.size for one in own), default=0)
        self._anchored_size = max((one.size for one in elsewhere), default=0)
        self._peaks = _Peaks()
        self._garbled: int | None = None
        self._fits: list[_Signed] = []  # checkpoints whose root the log gives
        self._wrong: list[_Signed] = []

    def verified(self) -> Verified:
        self._read()
        size = self._peaks.size
        if self._wrong and any(one.size >= self._wrong[0].size for one in self._fits):
            raise self._fork(self._wrong[0])
        if self._wrong or self._garbled is not None or max(self._signed_size, self._anchored_size) > size:
            self._locate()
        if size and not self._own:
            need, got = "a checkpoint: every log has one", "none, or one that was not finished"
            raise self._tampered("checkpoint", 0, 1, need, got, "checkpoint")
        return Verified(size, self._peaks.root(), self._signed_size, self._anchored_size, size - self._signed_size)

    def _checkpoints(self, vkey: str) -> list[Checkpoint]:
        parse_verifier_key(vkey)
        try:
            return read_all(self._folder / CHECKPOINTS, vkey)
        except Tampered as error:
            sound = self._sound(vkey)
            raise self._tampered("checkpoint", sound, sound + 1, error.need, error.got, "checkpoint") from None

    def _sound(self, vkey: str) -> int:
        """Size of the last checkpoint before the first bad one."""
        size, parts = 0, (self._folder / CHECKPOINTS).read_text(errors="replace").split("\n\n")
        for text, signature in zip(parts[::2], parts[1::2], strict=False):
            try:
                found = parse_signed(f"{text}\n\n{signature}\n", vkey)
            except Tampered:
                break
            if found.size < size:
                break
            size = found.size
        return size

    def _read(self) -> None:
        """Compare the log's root with that of each checkpoint, up to the first line that is no entry."""
        due = iter(self._signed)
        next_due = next(due, None)
        for line in self._lines():
            next_due = self._judge(next_due, due)
            if not _canonical(line):
                self._garbled = self._peaks.size
                return
            self._peaks.append(leaf_hash(line))
        self._judge(next_due, due)

    def _judge(self, signed: _Signed | None, due: Iterator[_Signed]) -> _Signed | None:
        while signed is not None and signed.size == self._peaks.size:
            if signed.root == self._peaks.root():
                self._fits.append(signed)
            else:
                self._wrong.append(signed)
            signed = next(due, None)
        return signed

    def _lines(self) -> Iterator[bytes]:
        """Whole lines; what follows the last line feed was never acknowledged."""
        if not (self._folder / LOG).exists():
            return
        with (self._folder / LOG).open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]

    def _leaves(self) -> Iterator[bytes]:
        return map(leaf_hash, self._lines())

    def _stored(self, stop: int) -> Iterator[bytes]:
        """The first `stop` leaf hashes of `tree`, or as many as there are."""
        if not (self._folder / TREE).exists():
            return
        with (self._folder / TREE).open("rb") as file:
            for number in range(stop):
                leaf = file.read(HASH_BYTES)
                if len(leaf) < HASH_BYTES:
                    return
                yield leaf
                file.seek(HASH_BYTES * ((number ^ (number + 1)).bit_length() - 1), 1)  # subtrees that it completes

    def _vouched(self) -> int:
        """How many leaf hashes of `tree` a signed root vouches for."""
        peaks, vouched, leaves = _Peaks(), 0, self._stored(max(one.size for one in self._signed))
        for signed in self._signed:
            for leaf in islice(leaves, signed.size - peaks.size):
                peaks.append(leaf)
            if peaks.size == signed.size and peaks.root() == signed.root:
                vouched = signed.size
        return vouched

    def _locate(self) -> NoReturn:
        """Raise what is wrong, exactly where `tree` tells."""
        vouched = self._vouched() if self._signed else 0
        for number, (stored, found) in enumerate(zip(self._stored(vouched), self._leaves(), strict=False)):
            if stored != found and number == self._garbled:
                break
            if stored != found:
                kind = self._kind(number, stored, found, vouched)
                raise self._tampered(kind, number, number + 1, "the entry that was signed", _GOT[kind])
        wrong = self._wrong[0] if self._wrong else None
        if self._garbled is not None and (wrong is None or vouched > self._garbled):
            need, got = "a JSON object in canonical form (RFC 8785)", "another line"
            raise self._tampered("line", self._garbled, self._garbled + 1, need, got)
        if wrong is not None:
            need, got = f"the entries that were signed, {wrong.size} in number", "others"
            raise self._tampered("altered", self._before(wrong.size), wrong.size, need, got)
        raise self._too_short(vouched)

    def _kind(self, number: int, stored: bytes, found: bytes, vouched: int) -> Kind:
        """By two questions about entry `number` and later: is the one found one too many, is the one signed missing?"""
        surplus = missing = 0
        for leaf in islice(self._leaves(), number, None):
            surplus, missing = surplus + (leaf == found), missing - (leaf == stored)
        for leaf in islice(self._stored(vouched), number, None):
            surplus, missing = surplus - (leaf == found), missing + (leaf == stored)
        if surplus > 0:
            return "edit" if missing > 0 else "insert"
        return "delete" if missing > 0 else "reorder"

    def _too_short(self, vouched: int) -> "LogTampered":
        size = self._peaks.size
        need, got = f"{max(self._signed_size, self._anchored_size)} entries, which were signed", f"{size}"
        if self._signed_size > size:
            first = size if vouched > size else self._before(size + 1)
            return self._tampered("truncation", first, size + 1, need, got)
        anchored = [one.size for one in self._fits if one.anchored]  # its own may be those of another history
        first = size if vouched > size else max(anchored, default=0)
        return self._tampered("rollback", first, size + 1, need, got, "anchor")

    def _fork(self, wrong: _Signed) -> "LogTampered":
        need, got = "one history for one key", f"two that were signed, of {wrong.size} entries each"
        before = [one.size for one in self._fits if one.size < wrong.size and one.anchored == wrong.anchored]
        part: Part = "anchor" if wrong.anchored else "checkpoint"
        return self._tampered("fork", max(before, default=0), wrong.size, need, got, part)

    def _before(self, size: int) -> int:
        """Size of the last checkpoint that fits, below `size`."""
        return max((one.size for one in self._fits if one.size < size), default=0)

    def _tampered(self, kind: Kind, entry: int, end: int, need: str, got: str, part: Part = "log") -> LogTampered:
        where = f"entry {entry}" if end == entry + 1 else f"first bad entry from {entry} to {end - 1}"
        setting = f"audit/{self._folder.name} ({where}, {kind})"
        error = LogTampered(setting, need=need, got=got, remedy=_REMEDY, part=part)
        error.kind, error.entry, error.end = kind, entry, end
        return error


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _integer(text: str) -> int:
    number = int(text)
    return number if abs(number) <= _LARGEST else _refuse(text)


_LARGEST = 2**53 - 1
_DECODER = json.JSONDecoder(parse_float=_refuse, parse_int=_integer, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _canonical(line: bytes) -> bool:
    """Whether a line is what `encode` makes of the entry in it; `encode` itself costs twice the time."""
    try:
        entry, _ = _DECODER.raw_decode(line.decode())
        if not isinstance(entry, dict) or _ENCODER.encode(entry).encode() != line:
            return False
        return line.isascii() or encode(entry) == line
    except (ValueError, RecursionError, KedgeError):
        return False
