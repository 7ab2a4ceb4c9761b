"""Is a stored file what was written? Looks at the ciphertext before anybody decrypts it, and says what is wrong."""

from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedge.errors import Part, Tampered
from kedge.lake import blob, parquet
from kedge.lake.names import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping

_REMEDY = "Restore the version from a backup, or run its stage again."
_NEED = "the encrypted bytes that were written there"

_whole: set[tuple[object, ...]] = set()
"""Files found whole by this process, in the state they had: hashing costs half as much as reading. Every write moves
the time of change (ctime), which nobody can set back; and what is read is authenticated page by page all the same."""


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def check_file_whole(path: Path, recorded: "Mapping[str, Any]", place: str, part: Part = "data") -> None:
    """Compare a stored file with its manifest.

    Args:
        recorded: `{"bytes": int, "sha256": str}` from the manifest.
        place, part: name the file in the error, and what it is part of.

    Raises:
        Tampered: it is missing, a link, plaintext, truncated, longer, swapped with another one, or altered.
    """
    got = _wrong(path, recorded)
    if got:
        raise Tampered(place, need=_NEED, got=got, remedy=_REMEDY, part=part)


def _wrong(path: Path, recorded: "Mapping[str, Any]") -> str | None:
    if path.is_symlink() or not path.is_file():
        return "a link or a folder" if path.is_symlink() or path.exists() else "no such file"
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == parquet.PLAINTEXT_MAGIC:
        return "a plaintext Parquet file"
    return _other_bytes(path, recorded, magic)


def _other_bytes(path: Path, recorded: "Mapping[str, Any]", magic: bytes) -> str | None:
    found = path.stat()
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, recorded["sha256"])
    if state in _whole:
        return None
    size, digest = found.st_size, sha256(path)
    if size == recorded["bytes"] and digest == recorded["sha256"] and magic == _magic(path.name):
        _whole.add(state)
        return None
    if origin := _origin(path, digest):
        return f"a swapped file: the bytes of {origin}"
    if size < recorded["bytes"]:
        return f"a truncated file: {size} of {recorded['bytes']} bytes"
    if magic != _magic(path.name):
        return "a plaintext file, or one that kedge did not write"
    return "altered bytes" if size == recorded["bytes"] else f"altered bytes: {size - recorded['bytes']} more"


def _magic(name: str) -> bytes:
    return parquet.MAGIC if name.endswith(".parquet") else blob.MAGIC


def _origin(path: Path, digest: str) -> str | None:
    """Where of the same pipeline these bytes were written; a search that only a damaged file pays for."""
    root, pipeline = path.parents[5], path.parents[3].name
    for manifest in sorted(root.glob(f"*/{pipeline}/*/*/v*/{MANIFEST}")):
        if digest in manifest.read_text(encoding="utf-8", errors="replace"):
            return "/".join(manifest.parent.parts[-5:])
    return None
