#!/usr/bin/env python3
"""Check an audit log of kedge, or a proof about it, without kedge.

This one file needs Python 3.11 or later and the package `cryptography`; read it, then run it on a machine that you
trust. It only reads. What it takes on trust is the verifier key: pin it when the pipeline is set up
(`kedge audit key PIPELINE`) and keep it, and checkpoints that you were given, where the operator cannot write.

What it reads, in the folder of one log:
    log.jsonl    the entries, one line each: canonical JSON (RFC 8785) in UTF-8, numbered from 0
    checkpoints  how many entries there were and their Merkle tree's root (RFC 6962), signed with Ed25519 in the form
                 of a C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint), one after another
    tree         hashes of the tree in the order in which they came to be; a help to name the bad entry exactly, and
                 believed only as far as they give a signed root

What it can find:
    edit, delete, insert, reorder   the entry at this place is another, is missing, was added, stood elsewhere
    altered      one of these, somewhere in a range of entries: `tree` was lost or made to fit
    truncation   the log ends before entries that its own checkpoints cover
    rollback     the log and its checkpoints agree, but end before what a checkpoint kept elsewhere covers
    fork         the key has signed two histories
    line         a line is not a canonical JSON object: kedge did not write it
    checkpoint   a checkpoint is not signed by the pinned key, is garbled, missing or out of order
"""

import argparse
import base64
import binascii
import hashlib
import heapq
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EXIT_CODES = """exit codes:
  0   everything fits
  1   --self-test failed: do not use this copy
  2   wrong usage, or a file that cannot be read
  24  the log or the proof is not what was signed
  25  the checkpoints are not those of the pinned key
  31  the log contradicts a checkpoint kept elsewhere (--anchor)
"""
PARTS = {"log": 24, "checkpoint": 25, "anchor": 31}
DONE = {
    "edit": "it is another one than the one that was signed",
    "delete": "the one that was signed was taken out",
    "insert": "it was put in",
    "reorder": "it is one from another place",
}
HASH_BYTES = 32
LARGEST_INTEGER = 2**53 - 1


class Wrong(Exception):
    """Something does not fit.

    Attributes:
        kind: one of those that this file's first lines list, or `proof`.
        part: what is wrong: the log, its checkpoints, or the log against an anchor.
        entry: the first bad entry, and `end` the one after the last that may be it; None where it is about no entry.
    """

    def __init__(self, kind: str, part: str, said: str, entry: int | None = None, end: int | None = None) -> None:
        self.kind, self.part, self.entry, self.end = kind, part, entry, end
        super().__init__(f"{kind}{self._place()}: {said}")

    def _place(self) -> str:
        if self.entry is None:
            return ""
        exact = self.end is None or self.end == self.entry + 1
        return f": entry {self.entry}" if exact else f": entry {self.entry}, or a later one before {self.end}"


# --- Merkle tree, RFC 6962 section 2.1 -------------------------------------------------------------------------------


def leaf_hash(line: bytes) -> bytes:
    """Hash of an entry: its line without the line feed."""
    return hashlib.sha256(b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """Roots of the full subtrees that the leaves so far make, the largest first: enough to go on and to give a root."""

    def __init__(self) -> None:
        self.size, self._roots = 0, list[bytes]()

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        size, joined = self.size, leaf
        while size & 1:
            joined = node_hash(self._roots.pop(), joined)
            size >>= 1
        self._roots.append(joined)
        self.size += 1

    def root(self) -> bytes:
        """Root of the tree of all leaves so far."""
        if not self._roots:
            return hashlib.sha256(b"").digest()
        *larger, root = self._roots
        for left in reversed(larger):
            root = node_hash(left, root)
        return root


def included(leaf: bytes, number: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `leaf` is leaf `number` of the tree of `size` leaves with this root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= number < size:
        return False
    place, last, joined = number, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            joined = node_hash(sibling, joined)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            joined = node_hash(joined, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and joined == root


def consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the tree of `old` leaves is the beginning of the tree of `new` leaves (RFC 9162, section 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]  # a full tree's root is the first hash itself
    if not path:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


# --- Checkpoints: signed notes, https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint ---------------------


@dataclass(frozen=True)
class Key:
    """A pinned verifier key: `<name>+<key id, 8 hexadecimal digits>+<base64 of 0x01 and the Ed25519 public key>`."""

    name: str
    number: bytes
    public: Ed25519PublicKey

    @classmethod
    def parse(cls, text: str) -> "Key":
        """The key in `text`; ValueError if it is none."""
        name, number, encoded = text.strip().split("+", 2)
        algorithm, public = (data := base64.b64decode(encoded, validate=True))[:1], data[1:]
        expected = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if algorithm != b"\x01" or bytes.fromhex(number) != expected:
            raise ValueError("no Ed25519 verifier key, or its parts do not belong together")
        return cls(name, expected, Ed25519PublicKey.from_public_bytes(public))

    def open(self, note: bytes) -> bytes:
        """The text of a signed note; ValueError unless this key has signed it."""
        text, _, signatures = note.rpartition(b"\n\n")
        text += b"\n"
        for line in signatures.splitlines():
            dash, name, encoded = line.split(b" ")
            signature = base64.b64decode(encoded, validate=True)
            if dash == "\N{EM DASH}".encode() and name == self.name.encode() and signature[:4] == self.number:
                try:
                    self.public.verify(signature[4:], text)
                except InvalidSignature:
                    raise ValueError("the signature is wrong") from None
                return text
        raise ValueError("no signature of the pinned key")


@dataclass(frozen=True)
class Checkpoint:
    """What was signed: a log of `size` entries has this root. `part` tells where the checkpoint was kept."""

    size: int
    root: bytes
    part: str

    @classmethod
    def parse(cls, note: bytes, key: Key, part: str) -> "Checkpoint":
        """The checkpoint in a signed note; ValueError if it is none of this key and log."""
        origin, size, root, *rest = key.open(note).decode().split("\n")
        if rest != [""] or origin != key.name or str(int(size)) != size or int(size) < 0:
            raise ValueError("not three lines: this log's name, a size, a root")
        data = base64.b64decode(root, validate=True)
        if len(data) != HASH_BYTES:
            raise ValueError("a root of another length")
        return cls(int(size), data, part)


def notes(path: Path, part: str) -> Iterator[bytes]:
    """The signed notes in a file: a text, an empty line, signatures, an empty line, the next text.

    The log may be growing: what is appended after this began is left out. So is a last note of the log's own that its
    empty line does not follow, for a killed process did not finish it.
    """
    note: list[bytes] = []
    left = path.stat().st_size
    with path.open("rb") as file:
        for line in file:
            left -= len(line)
            if left < 0:
                break
            if line == b"\n" and b"\n" in note:
                yield b"".join(note)
                note = []
            else:
                note.append(line)
    if note and part == "anchor":
        yield b"".join(note)


def checkpoints(path: Path, key: Key, part: str) -> Iterator[Checkpoint]:
    """The checkpoints in a file, each verified; Wrong at the first that is not this key's or does not grow."""
    size = -1
    for count, note in enumerate(notes(path, part)):
        try:
            found = Checkpoint.parse(note, key, part)
            if found.size <= size and part != "anchor":
                raise ValueError("not larger than the one before")
        except ValueError as error:
            said = f"checkpoint {count} of {path.name}: {error}"
            raise Wrong("checkpoint", part, said, entry=max(size, 0)) from None
        size = found.size
        yield found


# --- Entries ---------------------------------------------------------------------------------------------------------


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} has no place in an entry")


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) > LARGEST_INTEGER:
        _refuse("an integer beyond 2**53 - 1")
    return number


_decoder = json.JSONDecoder(parse_float=lambda _: _refuse("a fraction"), parse_int=_integer, parse_constant=_refuse)
_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def canonical(line: bytes) -> bool:
    """Whether a line is a JSON object in the form of RFC 8785, without fractions and with ASCII names.

    With ASCII names, Python's order of keys is the one that the RFC wants; with integers only, so are its numbers.
    """
    try:
        entry, _ = _decoder.raw_decode(line.decode())
        return isinstance(entry, dict) and _encoder.encode(entry).encode() == line and _ascii_names(line, entry)
    except (ValueError, RecursionError):
        return False


def _ascii_names(line: bytes, value: Any) -> bool:
    if line.isascii():
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (not isinstance(value, dict) or all(map(str.isascii, value))) and all(_ascii_names(line, v) for v in inner)


def lines(folder: Path) -> Iterator[bytes]:
    """Every whole line of the log; what follows the last line feed is an entry that was never finished."""
    with (folder / "log.jsonl").open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def stored_leaves(folder: Path) -> Iterator[bytes]:
    """Leaf hashes as `tree` has them: after leaf n stand the hashes of the subtrees that it completes."""
    if not (folder / "tree").is_file():
        return
    with (folder / "tree").open("rb") as file:
        number = 0
        while len(leaf := file.read(HASH_BYTES)) == HASH_BYTES:
            yield leaf
            completed = (number ^ (number + 1)).bit_length() - 1
            file.seek(HASH_BYTES * completed, 1)
            number += 1


# --- A whole log -----------------------------------------------------------------------------------------------------


@dataclass
class Reading:
    """What one pass over the log saw.

    Attributes:
        size: whole entries read, and `root` of their tree.
        reach: by where checkpoints are kept (the log's own, anchors), how many entries the largest covers.
        fits: likewise, size of the largest whose root the log gives; `before`: the same, among those before `wrong`.
        wrong: the smallest checkpoint whose root the log does not give.
        garbled: number of the first line that is not canonical; the pass ends there.
    """

    size: int = 0
    root: bytes = b""
    reach: dict[str, int] = field(default_factory=lambda: {"checkpoint": 0, "anchor": 0})
    fits: dict[str, int] = field(default_factory=lambda: {"checkpoint": 0, "anchor": 0})
    before: dict[str, int] = field(default_factory=dict)
    wrong: Checkpoint | None = None
    garbled: int | None = None

    def judge(self, checkpoints: Sequence[Checkpoint], root: bytes) -> None:
        """Compare the checkpoints of the present size with the log's root at this size."""
        bad = [checkpoint for checkpoint in checkpoints if checkpoint.root != root]
        if bad and not self.wrong:
            self.wrong, self.before = bad[0], dict(self.fits)
        self.fits |= {checkpoint.part: checkpoint.size for checkpoint in checkpoints if checkpoint not in bad}


class Log:
    """One log to be checked.

    Args:
        folder: holds `log.jsonl`, `checkpoints` and perhaps `tree`.
        key: the pinned key.
        anchors: checkpoints kept elsewhere.
    """

    def __init__(self, folder: Path, key: Key, anchors: Iterable[Checkpoint] = ()) -> None:
        self.folder, self.key = folder, key
        self.anchors = sorted(anchors, key=lambda anchor: anchor.size)

    def check(self) -> Reading:
        """Read everything once; Wrong at the first thing that does not fit."""
        reading = self._read()
        if reading.wrong and max(reading.fits.values()) >= reading.wrong.size:
            said = f"the key has signed two different logs of {reading.wrong.size} entries"
            raise Wrong("fork", reading.wrong.part, said, reading.before[reading.wrong.part], reading.wrong.size)
        if reading.wrong or reading.garbled is not None or max(reading.reach.values()) > reading.size:
            self._locate(reading)
        if reading.size and not reading.reach["checkpoint"]:
            raise Wrong("checkpoint", "checkpoint", "there are entries, but not one checkpoint", entry=0)
        return reading

    def _signed(self) -> Iterator[Checkpoint]:
        """Every checkpoint, by size."""
        own = self.folder / "checkpoints"
        found = checkpoints(own, self.key, "checkpoint") if own.is_file() else iter(())
        return heapq.merge(found, self.anchors, key=lambda checkpoint: checkpoint.size)

    def _read(self) -> Reading:
        reading, frontier, rest = Reading(), Frontier(), lines(self.folder)
        for size, group in groupby(self._signed(), key=lambda checkpoint: checkpoint.size):
            found = list(group)
            self._advance(reading, frontier, islice(rest, size - frontier.size))
            reading.reach |= {checkpoint.part: size for checkpoint in found}
            if frontier.size == size:
                reading.judge(found, frontier.root())
        self._advance(reading, frontier, rest)
        reading.size, reading.root = frontier.size, frontier.root()
        return reading

    @staticmethod
    def _advance(reading: Reading, frontier: Frontier, rest: Iterator[bytes]) -> None:
        """Take lines as long as they are canonical."""
        if reading.garbled is None:
            for line in rest:
                if not canonical(line):
                    reading.garbled = frontier.size
                    return
                frontier.append(leaf_hash(line))

    def _locate(self, reading: Reading) -> NoReturn:
        """Name the first bad entry: exactly if `tree` still has the hashes that were signed, otherwise as a range."""
        trusted = self._trusted()
        for number, pair in enumerate(zip(islice(stored_leaves(self.folder), trusted), self._leaves(), strict=False)):
            if pair[0] != pair[1]:
                if number == reading.garbled:
                    break
                kind = self._kind(number, *pair, trusted)
                raise Wrong(kind, "log", DONE[kind], number)
        if reading.garbled is not None and (reading.wrong is None or trusted > reading.garbled):
            raise Wrong("line", "log", "not a JSON object in the canonical form of RFC 8785", reading.garbled)
        if reading.wrong:
            said = f"the entries do not give the root that was signed for the first {reading.wrong.size}"
            raise Wrong("altered", "log", said, max(reading.before.values()), reading.wrong.size)
        said = f"the log ends after {reading.size} entries; {max(reading.reach.values())} were signed"
        if reading.reach["checkpoint"] > reading.size:
            first = reading.size if trusted > reading.size else max(reading.fits.values())
            raise Wrong("truncation", "log", said, first, reading.size + 1)
        first = reading.size if trusted > reading.size else reading.fits["anchor"]  # its own may be of another history
        raise Wrong("rollback", "anchor", said, first, reading.size + 1)

    def _leaves(self) -> Iterator[bytes]:
        return map(leaf_hash, lines(self.folder))

    def _trusted(self) -> int:
        """How many leaf hashes of `tree` a signed root vouches for."""
        frontier, trusted, leaves = Frontier(), 0, stored_leaves(self.folder)
        for checkpoint in self._signed():
            for leaf in islice(leaves, checkpoint.size - frontier.size):
                frontier.append(leaf)
            if frontier.size == checkpoint.size and frontier.root() == checkpoint.root:
                trusted = checkpoint.size
        return trusted

    def _kind(self, number: int, signed: bytes, found: bytes, trusted: int) -> str:
        """What was done at the first entry whose hash is not the signed one.

        Is the entry that stands there one too many in the log? Is the one that should stand there missing?
        """
        surplus, missing = 0, 0
        for leaf in islice(self._leaves(), number, None):
            surplus, missing = surplus + (leaf == found), missing - (leaf == signed)
        for leaf in islice(stored_leaves(self.folder), number, trusted):
            surplus, missing = surplus - (leaf == found), missing + (leaf == signed)
        kinds = {(True, True): "edit", (True, False): "insert", (False, True): "delete", (False, False): "reorder"}
        return kinds[surplus > 0, missing > 0]


# --- A proof ---------------------------------------------------------------------------------------------------------


def check_proof(path: Path, key: Key, anchors: Iterable[Checkpoint] = ()) -> str:
    """Check a file of `kedge audit prove`: one entry in a signed tree, and that tree growing out of an older one.

    Returns:
        What is proved, as a sentence.
    """
    try:
        proof = json.loads(path.read_bytes())
        line, number = proof["line"].encode(), int(proof["entry"])
        checkpoint = Checkpoint.parse(proof["checkpoint"].encode(), key, "checkpoint")
        path_up = [base64.b64decode(text, validate=True) for text in proof["inclusion"]]
        since = proof.get("since")
        older = Checkpoint.parse(since["checkpoint"].encode(), key, "checkpoint") if since else None
        growth = [base64.b64decode(text, validate=True) for text in since["consistency"]] if since else []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Wrong("proof", "checkpoint", f"not a proof that the pinned key has signed ({error})") from None
    if not canonical(line) or not included(leaf_hash(line), number, checkpoint.size, path_up, checkpoint.root):
        raise Wrong("proof", "log", f"the entry is not entry {number} of the log that was signed")
    if older and not consistent(older.size, checkpoint.size, growth, older.root, checkpoint.root):
        raise Wrong("proof", "log", f"the log of {checkpoint.size} entries is no continuation of that of {older.size}")
    for anchor in anchors:
        if any(anchor.size == one.size and anchor.root != one.root for one in (checkpoint, older) if one):
            raise Wrong("fork", "anchor", f"the key has signed two different logs of {anchor.size} entries")
    said = f"entry {number} is in the log of {checkpoint.size} entries that {key.name} has signed"
    return f"{said}; that log continues the one of {older.size} entries" if older else said


# --- Self-test -------------------------------------------------------------------------------------------------------

# Leaves, roots and proofs published with Certificate Transparency's own tests: google/certificate-transparency,
# python/ct/crypto/merkle_test.py, and google/trillian, merkle/log_verifier_test.go (Apache-2.0). Numbers from 0.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
_A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
_B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
_C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
_D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
_E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
_F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {
    (0, 1): [],
    (0, 8): [_A, _B, _C],
    (5, 8): [_D, _E, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], _B, _D],
}
CONSISTENCY = {(1, 1): [], (1, 8): [_A, _B, _C], (6, 8): [_F, _E, ROOTS[4]], (2, 5): [_B, _D]}
# The note with which Go's documentation shows signed notes (golang.org/x/mod/sumdb/note, BSD-3-Clause).
NOTE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""


def self_test() -> bool:
    """Whether this file reproduces the published vectors, and refuses each of them with one byte changed."""
    roots, leaves = [bytes.fromhex(root) for root in ROOTS], [leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    frontier, held = Frontier(), []
    for leaf, root in zip([*leaves, b""], roots, strict=True):
        held.append(frontier.root() == root)
        frontier.append(leaf)
    for (number, size), hexes in INCLUSION.items():
        proof = [bytes.fromhex(text) for text in hexes]
        held.append(included(leaves[number], number, size, proof, roots[size]))
        held += [not included(leaves[number], number, size, bad, roots[size]) for bad in _spoiled(proof)]
    for (old, new), hexes in CONSISTENCY.items():
        proof = [bytes.fromhex(text) for text in hexes]
        held.append(consistent(old, new, proof, roots[old], roots[new]))
        held += [not consistent(old, new, bad, roots[old], roots[new]) for bad in _spoiled(proof)]
    key = Key.parse(NOTE_KEY)
    held.append(key.open(NOTE.encode()).decode() == NOTE.partition("\n\n")[0] + "\n")
    try:
        key.open(NOTE.replace("you", "we", 1).encode())
    except ValueError:
        return all(held)
    return False


def _spoiled(proof: list[bytes]) -> Iterator[list[bytes]]:
    for place, part in enumerate(proof):
        yield [*proof[:place], bytes([part[0] ^ 1]) + part[1:], *proof[place + 1 :]]
        yield [*proof[:place], *proof[place + 1 :]]
    yield [*proof, bytes(HASH_BYTES)]


# --- Command line ----------------------------------------------------------------------------------------------------


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="verify.py", description=__doc__, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--self-test", action="store_true", help="try this file on published test vectors")
    commands = parser.add_subparsers(dest="command")
    for name, what, said in (
        ("log", "FOLDER", "check a whole log"),
        ("proof", "FILE", "check a proof that `kedge audit prove` wrote"),
    ):
        command = commands.add_parser(name, help=said, epilog=EXIT_CODES, formatter_class=parser.formatter_class)
        command.add_argument("path", metavar=what, type=Path)
        command.add_argument("--key", metavar="VKEY", required=True, help="the verifier key that you have pinned")
        command.add_argument(
            "--anchor",
            metavar="FILE",
            type=Path,
            nargs="+",
            default=[],
            help="checkpoints kept elsewhere: files, or folders of them",
        )
    arguments = parser.parse_args(words)
    if not arguments.command and not arguments.self_test:
        parser.error("one of log, proof and --self-test is needed")
    return arguments


def _anchors(paths: Iterable[Path], key: Key) -> list[Checkpoint]:
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return [anchor for file in files for anchor in checkpoints(file, key, "anchor")]


def _run(arguments: argparse.Namespace) -> str:
    try:
        key = Key.parse(arguments.key)
    except (ValueError, binascii.Error):
        raise SystemExit("--key: not an Ed25519 verifier key: <name>+<8 hexadecimal digits>+<base64>") from None
    anchors = _anchors(arguments.anchor, key)
    if arguments.command == "proof":
        return check_proof(arguments.path, key, anchors)
    found = Log(arguments.path, key, anchors).check()
    signed = found.reach["checkpoint"]
    tail = f"; the last {found.size - signed} are not signed yet" if found.size > signed else ""
    elsewhere = f"; {found.reach['anchor']} agree with a checkpoint kept elsewhere" if anchors else ""
    return f"{found.size} entries, {signed} of them signed by {key.name}{tail}{elsewhere}"


def main(words: Sequence[str] | None = None) -> int:
    """Check what the command line names; the exit code."""
    arguments = _arguments(words)
    if arguments.self_test:
        fits = self_test()
        print("self-test: every published vector is reproduced" if fits else "self-test: FAILED, do not use this copy")
        return 0 if fits else 1
    try:
        print(f"fits: {_run(arguments)}")
    except Wrong as wrong:
        print(wrong)
        return PARTS[wrong.part]
    except (OSError, SystemExit) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
