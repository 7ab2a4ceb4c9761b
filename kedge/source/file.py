"""A delivered file: regular files only, its fingerprint, and the small file beside it that says it is complete.

A sender may put `FILE.manifest` (JSON: `bytes` and `sha256`) or an empty `FILE.done` beside `FILE` after it.
A CSV cut in the middle of a number parses without a word, so only such a manifest can tell a truncated one.
"""

import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kedge.errors import Terminal
from kedge.source import limits

CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What a file's bytes were when they were read.

    Attributes:
        bytes: how many.
        sha256: what senders put into manifests.
        keyed: BLAKE2b under the reader's key, 64 hexadecimal digits (RFC 7693); safe to store beside the data,
            since nobody without the key can confirm a guess. Without a key: empty.
    """

    bytes: int
    sha256: str
    keyed: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceManifest:
    """What the sender says about the file: its length in bytes and its SHA-256."""

    bytes: int
    sha256: str

    def difference(self, found: Fingerprint) -> str | None:
        """How the file differs from what its sender says, None if it does not."""
        if found.bytes != self.bytes:
            return f"{found.bytes} bytes where {self.bytes} were announced"
        if found.sha256 != self.sha256:
            return "other content than was announced"
        return None


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, refusing symbolic links, devices, sockets and pipes.

    Raises:
        Terminal: it is something else than a regular file, may not be read, or is larger than `MAX_FILE_BYTES`.
        FileNotFoundError: it is not there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _not_regular(path, error.strerror or "an unreadable file") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise _not_regular(path, "a folder, device, socket or pipe")
    if status.st_size > limits.MAX_FILE_BYTES:
        os.close(descriptor)
        need, remedy = f"at most {limits.MAX_FILE_BYTES >> 30} GiB", "Let the sender deliver it in several files."
        raise Terminal(path.name, need=need, got=f"{status.st_size >> 20} MiB", remedy=remedy)
    return os.fdopen(descriptor, "rb", buffering=0)


def fingerprint(path: Path, key: bytes = b"") -> Fingerprint:
    """Read a whole file once; memory stays flat.

    Args:
        path: a regular file.
        key: for the keyed digest, up to 64 bytes.
    """
    plain, keyed, size = hashlib.sha256(), hashlib.blake2b(key=key, digest_size=32), 0
    with open_regular(path) as file:
        while chunk := file.read(CHUNK):
            plain.update(chunk)
            size += len(chunk)
            if key:
                keyed.update(chunk)
    return Fingerprint(bytes=size, sha256=plain.hexdigest(), keyed=keyed.hexdigest() if key else "")


def source_manifest(path: Path) -> SourceManifest | None:
    """What `FILE.manifest` announces, None if there is no such file.

    Raises:
        Terminal: it cannot be understood.
    """
    beside = companion(path, "manifest")
    try:
        with open_regular(beside) as file:
            data: Any = json.loads(file.read(CHUNK))
        announced = SourceManifest(bytes=data["bytes"], sha256=str(data["sha256"]).lower())
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        announced = None
    if announced is None or type(announced.bytes) is not int or not _SHA256.fullmatch(announced.sha256):
        raise Terminal(
            beside.name,
            need='JSON such as {"bytes": 1024, "sha256": "64 hexadecimal digits"}',
            got="something else",
            remedy="Let the sender write it again, after the file itself.",
        )
    return announced


def companion(path: Path, kind: str) -> Path:
    """`FILE.manifest` or `FILE.done` beside FILE."""
    return path.with_name(f"{path.name}.{kind}")


def _not_regular(path: Path, got: str) -> Terminal:
    need, remedy = "a regular file that may be read", "Put the file itself there, not a link to it."
    return Terminal(path.name, need=need, got=got, remedy=remedy)
