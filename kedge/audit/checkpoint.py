"""Signed checkpoints of the log: C2SP tlog-checkpoint in a C2SP signed note, Ed25519.

    kedge/<lake id>/<pipeline>
    <size>
    <root, base64>

    — kedge/<lake id>/<pipeline> <4 bytes of key id and the signature, base64>

The file `checkpoints` holds one after another, each followed by an empty line.
https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note
"""

import base64
import binascii
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import IO, Protocol

from kedge import durable, faults
from kedge.audit.tree import HASH_BYTES
from kedge.errors import Tampered

faults.register("audit.sign", steps=("before", "written", "after"))

_ED25519 = b"\x01"
_NOTE = re.compile(
    r"(?P<origin>[^\n]+)\n(?P<size>0|[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"\n\u2014 (?P<name>[^\n +]+) (?P<signature>[A-Za-z0-9+/]+={0,2})\n"
)
_LINES = 6  # of a note and the empty line after it
_REMEDY = "Restore the folder of the log from a backup, and find out who wrote to it."


class Signer(Protocol):
    """Signs under the key that `vkey` verifies."""

    @property
    def vkey(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True)
class Checkpoint:
    """What a log of so many entries is: `root` is the Merkle tree hash of the first `size` entries (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public: bytes) -> bytes:
    """Four bytes that tell keys of one name apart (signed note, Ed25519)."""
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """`name+key id+key` as Go's note package writes it; not secret. `public`: 32 bytes."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def parse_verifier_key(vkey: str) -> tuple[str, bytes]:
    """Name and public key.

    Raises:
        Tampered: it is none, or its key id belongs to another key.
    """
    name, _, rest = vkey.partition("+")
    number, _, encoded = rest.partition("+")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 1 + HASH_BYTES or key[:1] != _ED25519 or key_id(name, key[1:]).hex() != number:
        raise _broken("verifier key", "name+key id+key of an Ed25519 key, as in `signer.json`", "something else")
    return name, key[1:]


def note(checkpoint: Checkpoint, vkey: str, signature: bytes) -> str:
    """The signed note. `signature`: of `checkpoint.text()`, 64 bytes."""
    name, public = parse_verifier_key(vkey)
    encoded = base64.b64encode(key_id(name, public) + signature).decode()
    return f"{checkpoint.text()}\n\u2014 {name} {encoded}\n"


def parse_signed(text: str, vkey: str) -> Checkpoint:
    """The checkpoint in a signed note.

    Raises:
        Tampered: it is none, is of another log or key, or the signature does not hold.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    name, public = parse_verifier_key(vkey)
    found = _NOTE.fullmatch(text)
    if found is None:
        raise _broken("checkpoint", "a checkpoint with one signature", "something else")
    if found["origin"] != name or found["name"] != name:
        raise _broken("checkpoint", f"a checkpoint of {name}", "one of another log")
    try:
        root, signed = base64.b64decode(found["root"]), base64.b64decode(found["signature"])
    except binascii.Error:
        raise _broken("checkpoint", "a checkpoint with one signature", "something else") from None
    checkpoint = Checkpoint(name, int(found["size"]), root)
    canonical = (base64.b64encode(root).decode(), base64.b64encode(signed).decode())
    try:
        if signed[:4] != key_id(name, public) or canonical != (found["root"], found["signature"]):
            raise InvalidSignature
        Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], checkpoint.text().encode())
    except InvalidSignature:
        raise _broken("checkpoint", f"a signature of {name}", "one that does not hold") from None
    return checkpoint


def read_all(path: Path, vkey: str) -> list[Checkpoint]:
    """Every checkpoint of the file, verified, oldest first; one that a power cut left unfinished at the end is none.

    Raises:
        Tampered: bytes that are no checkpoints, a signature that does not hold, or sizes that do not grow.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = [parse_signed(text, vkey) for text in _notes(data)]
    for earlier, later in pairwise(found):
        if earlier.size >= later.size:
            raise _broken("checkpoints", "sizes that grow", f"{later.size} entries after {earlier.size}")
    return found


def read_last(file: IO[bytes], vkey: str) -> tuple[Checkpoint | None, int]:
    """The newest checkpoint of the open file and where the next one goes; looks at the end only.

    Raises:
        Tampered: the end is no checkpoint, or its signature does not hold.
    """
    end = file.seek(0, os.SEEK_END)
    name, _ = parse_verifier_key(vkey)
    start = max(0, end - 4 * (2 * len(name.encode()) + 200))
    file.seek(start)
    data = file.read(end - start)
    if start:  # begin with the first whole note
        data = data[data.find(b"\n\n" + name.encode() + b"\n") + 2 :]
    torn = len(data) - _whole(data)
    notes = list(_notes(data))
    return (parse_signed(notes[-1], vkey) if notes else None), end - torn


def add(path: Path, checkpoint: Checkpoint, signer: Signer, agrees: Callable[[Checkpoint], bool]) -> Checkpoint:
    """Sign `checkpoint` as the newest in the file, fsynced; one of that size or more that is there already stays.

    Args:
        agrees: whether the log gives the newest checkpoint in the file, if that is not larger.

    Returns:
        the newest checkpoint in the file.

    Raises:
        Tampered: the newest checkpoint is no longer one, or does not agree with the log.
    """
    faults.reach("audit.sign.before")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file, durable.locked(file.fileno()):
        last, end = read_last(file, signer.vkey)
        if last is not None and last.size <= checkpoint.size and not agrees(last):
            raise _broken("checkpoints", "the checkpoint that the log gives", "another root")
        if last is not None and last.size >= checkpoint.size:
            return last
        text = note(checkpoint, signer.vkey, signer.sign(checkpoint.text().encode()))
        try:
            file.truncate(end)
            file.seek(end)
            file.write(f"{text}\n".encode())
            faults.reach("audit.sign.written")
        except BaseException:
            file.truncate(end)
            raise
        os.fsync(file.fileno())
    faults.reach("audit.sign.after")
    return checkpoint


def _notes(data: bytes) -> Iterator[str]:
    """The notes one after another, without the empty lines between them."""
    lines = data[: _whole(data)].decode(errors="replace").split("\n")[:-1]
    for start in range(0, len(lines), _LINES):
        one = lines[start : start + _LINES]
        if one[-1]:
            raise _broken("checkpoints", "an empty line after each checkpoint", "something else")
        yield "\n".join(one)


def _whole(data: bytes) -> int:
    """Length without the note that was not finished."""
    rest = data.count(b"\n") % _LINES
    end = len(data)
    for _ in range(rest + 1):
        end = data.rfind(b"\n", 0, end)
    return end + 1


def _broken(setting: str, need: str, got: str) -> Tampered:
    return Tampered(f"audit ({setting})", need=need, got=got, remedy=_REMEDY, part="checkpoint")
