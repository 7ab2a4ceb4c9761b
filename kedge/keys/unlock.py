"""The unlocking key of a key ring: 256 bits from a key file, or scrypt (RFC 7914) of a passphrase.

It seals every key-encryption key of the ring and authenticates the ring as a whole, each under a key of its own that
HKDF-SHA256 (RFC 5869) derives from it. A copy of the ring alone, without the file or the passphrase, opens nothing.
"""

import base64
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Tampered, Terminal
from kedge.keys.seal import KEY_BYTES, new_key

faults.register("keys.unlock", steps=durable.REPLACE)

KEY_FILE = "unlock.key"
NEXT_KEY_FILE = "unlock.key.next"
"""The key that takes the place of `unlock.key`, from before the ring is sealed under it until it has that name."""
_KEY_VARIABLE, _PASSPHRASE_VARIABLE = "KEDGE_KEYS_KEY_FILE", "KEDGE_KEYS_PASSPHRASE_FILE"
_BY_KEY_FILE, _BY_PASSPHRASE = "key file", "passphrase"

_COST = {"n": 2**17, "r": 8, "p": 1}
"""OWASP's Password Storage Cheat Sheet on scrypt: 128 MiB and some tenths of a second, once per process."""
_COSTS = frozenset(2**power for power in range(14, 21))
"""Costs that are tried: the ring says which, before anything about it is verified."""
_SALT_BYTES = 16
_MIN_PASSPHRASE = 15
"""NIST SP 800-63B-4, section 3.1.1.2: a password that stands alone."""

_derived: dict[bytes, bytes] = {}


class Unlocked:
    """Keys derived from the unlocking key of one ring. Prints nothing of them and does not travel.

    Attributes:
        seal: seals key-encryption keys.
        check: tells whether this is the unlocking key that a ring was made with; no secret.
    """

    def __init__(self, key: bytes, lake_id: str) -> None:
        self.seal = _hkdf(key, lake_id, b"kedge ring seal")
        self.check = _hkdf(key, lake_id, b"kedge ring check").hex()
        self._mac = _hkdf(key, lake_id, b"kedge ring mac")

    def __repr__(self) -> str:
        return "Unlocked(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("an unlocking key does not travel between processes: open the lake there")

    def mac(self, content: bytes) -> str:
        """HMAC-SHA256 of the ring's content, in hexadecimal."""
        return hmac.digest(self._mac, content, "sha256").hex()


@dataclass(frozen=True)
class Unlocking:
    """Where the unlocking key comes from: a file `unlock.key` beside the ring, unless one of these is given.

    Attributes:
        key_file: file with the key, 32 bytes in base64 (`KEDGE_KEYS_KEY_FILE`).
        passphrase_file: file with a passphrase of at least 15 characters (`KEDGE_KEYS_PASSPHRASE_FILE`).
    """

    key_file: Path | None = None
    passphrase_file: Path | None = None

    def describe(self, folder: Path) -> dict[str, Any]:
        """What a new ring in `folder` notes about its unlocking key; a key file that is missing is made.

        Raises:
            Terminal: others may read the file, or it holds no key or too short a passphrase.
        """
        if self.passphrase_file is None:
            _make_key_file(self.key_file or folder / KEY_FILE)
            return {"by": _BY_KEY_FILE}
        return {"by": _BY_PASSPHRASE, "salt": base64.b64encode(os.urandom(_SALT_BYTES)).decode(), **_COST}

    def unlock(self, described: Mapping[str, Any], folder: Path, lake_id: str, check: object | None = None) -> Unlocked:
        """The keys of a ring that notes `described` about its unlocking key.

        Args:
            check: what the ring tells of its unlocking key (`Unlocked.check`), to choose between the key file beside
                it and the next one, where a relock was cut off.

        Raises:
            Terminal: the file is not named, missing or readable by others, or holds no key or passphrase; or a
                passphrase is given for a ring that opens with a key file.
            Tampered: `described` is no such note.
        """
        if described.get("by") == _BY_KEY_FILE:
            if self.passphrase_file is not None:
                need, got = "no passphrase: this ring opens with a key file", "a file with a passphrase"
                remedy = f"Unset {_PASSPHRASE_VARIABLE}."
                raise Terminal(_PASSPHRASE_VARIABLE, need=need, got=got, remedy=remedy)
            return Unlocked(_key_of(self.key_file), lake_id) if self.key_file else _beside(folder, lake_id, check)
        salt, n, r, p = _parsed(described)
        if self.passphrase_file is None:
            need, got = "the file with the passphrase that this ring opens with", "nothing"
            remedy = f"Point {_PASSPHRASE_VARIABLE} at it."
            raise Terminal(_PASSPHRASE_VARIABLE, need=need, got=got, remedy=remedy)
        return Unlocked(_stretched(_passphrase_of(self.passphrase_file), salt, n, r, p), lake_id)

    def succeed(self, present: "Unlocking", folder: Path, lake_id: str) -> tuple[dict[str, Any], Unlocked]:
        """Make this the unlocking of the ring in `folder` that opens with `present`: what it notes, and its keys.

        A key beside the ring is made anew as `unlock.key.next`; it gets its name by `settle` once the ring is sealed
        under it. The caller holds the ring's lock.

        Raises:
            Terminal: no file is named for a ring whose key is not beside it; or the file named cannot be used.
        """
        if self != Unlocking():
            described = self.describe(folder)
            return described, self.unlock(described, folder, lake_id)
        if present != self:
            need = "--key-file or --passphrase-file: what unlocks this ring is not beside it"
            remedy = "Name a new file; the present one may serve other lakes, and stays as it is."
            raise Terminal("kedge keys relock", need=need, got="neither", remedy=remedy)
        key = new_key()
        durable.replace(folder / NEXT_KEY_FILE, base64.b64encode(key) + b"\n", mode=0o600, point="keys.unlock")
        return {"by": _BY_KEY_FILE}, Unlocked(key, lake_id)

    def settle(self, folder: Path, lake_id: str, check: object) -> None:
        """Give the next key its name if the ring in `folder` is sealed under it; the caller holds the ring's lock."""
        upcoming = folder / NEXT_KEY_FILE
        if self == Unlocking() and upcoming.exists() and Unlocked(_key_of(upcoming), lake_id).check == check:
            upcoming.rename(folder / KEY_FILE)
            durable.sync_folder(folder)


def _beside(folder: Path, lake_id: str, check: object | None) -> Unlocked:
    found = Unlocked(_key_of(folder / KEY_FILE), lake_id)
    upcoming = folder / NEXT_KEY_FILE
    if check in (None, found.check) or not upcoming.exists():
        return found
    try:
        newer = Unlocked(_key_of(upcoming), lake_id)
    except Terminal:
        if upcoming.exists():
            raise
        return Unlocked(_key_of(folder / KEY_FILE), lake_id)  # it got its name meanwhile
    return newer if newer.check == check else found


def _make_key_file(path: Path) -> None:
    """Make the file unless it is there; of two processes one makes it.

    Beside one that is there, a secret that is mounted read-only, there may be no room for a lock.
    """
    if path.exists():
        return
    durable.make_folder(path.parent, mode=0o700)
    with durable.lock(path.with_name(f".{path.name}.lock")):
        durable.sweep(path.parent, f"-{path.name}")
        if not path.exists():
            durable.replace(path, base64.b64encode(new_key()) + b"\n", mode=0o600, point="keys.unlock")


def _key_of(path: Path) -> bytes:
    try:
        key = base64.b64decode(_private_bytes(path, _KEY_VARIABLE, "the key file of the key ring"), validate=False)
    except ValueError:
        key = b""
    if len(key) == KEY_BYTES:
        return key
    need, got = f"{KEY_BYTES} random bytes in base64", "something else"
    raise Terminal(str(path), need=need, got=got, remedy="Restore the key file from its backup.").of("key")


def _passphrase_of(path: Path) -> bytes:
    passphrase = _private_bytes(path, _PASSPHRASE_VARIABLE, "the file with the passphrase").rstrip(b"\r\n")
    if len(passphrase.decode(errors="replace")) >= _MIN_PASSPHRASE:
        return passphrase
    need, got = f"a passphrase of at least {_MIN_PASSPHRASE} characters in one line", "a shorter one"
    raise Terminal(str(path), need=need, got=got, remedy="Take six words at random, for instance.")


def _private_bytes(path: Path, variable: str, what: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        remedy = f"Restore it, or point {variable} at it: without it the lake is unreadable."
        raise Terminal(str(path), need=what, got="no such file", remedy=remedy).of("key") from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        mounted = found.st_uid == 0 != os.geteuid()  # a secret that root put there for our group, as Kubernetes does
        refuse_readable(path, found, allowed=stat.S_IRGRP if mounted else 0)
        return file.read(4096)


def refuse_readable(path: Path, found: os.stat_result, *, allowed: int = 0) -> None:
    """Refuse a file or folder that others than its owner may read.

    Args:
        allowed: bits of the mode that may be set all the same.

    Raises:
        Terminal: its mode lets them in.
    """
    if found.st_mode & 0o077 & ~allowed:
        raise Terminal(
            str(path),
            need="a mode that lets only its owner in (0600 for a file, 0700 for a folder)",
            got=f"{stat.S_IMODE(found.st_mode):04o}",
            remedy="Run `chmod go= ` on it; if somebody may have read it: `kedge keys relock`, then rotate.",
        ).of("ring")


def _parsed(described: Mapping[str, Any]) -> tuple[bytes, int, int, int]:
    try:
        salt = base64.b64decode(described["salt"], validate=True)
        n, r, p = (described[name] for name in ("n", "r", "p"))
        fits = described["by"] == _BY_PASSPHRASE and len(salt) == _SALT_BYTES
    except (KeyError, TypeError, ValueError):
        fits = False
    if fits and n in _COSTS and r == _COST["r"] and p == _COST["p"]:
        return salt, n, r, p
    need, got = "how the ring is unlocked: by a key file, or by a passphrase with salt and cost", "something else"
    remedy = "Restore the ring from its backup."
    raise Tampered("KEDGE_KEYS (ring.json)", need=need, got=got, remedy=remedy, part="ring")


def _stretched(passphrase: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    """scrypt, once per process for the same input: a lake is opened for every stage."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    asked = sha256(b"%d/%d/%d/" % (n, r, p) + salt + passphrase).digest()
    if asked not in _derived:
        _derived[asked] = Scrypt(salt=salt, length=KEY_BYTES, n=n, r=r, p=p).derive(passphrase)
    return _derived[asked]


def _hkdf(key: bytes, lake_id: str, purpose: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), KEY_BYTES, salt=lake_id.encode(), info=purpose).derive(key)
