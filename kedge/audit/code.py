"""The digest of the program that runs, so that an entry of the log says which kedge did it."""

from functools import cache
from hashlib import sha256
from pathlib import Path

_ROOT = Path(__file__).parent.parent


@cache
def code_digest() -> str:
    """SHA-256 over kedge's own source files, by name in order; 64 hexadecimal digits. Read once per process."""
    digest = sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        source = path.read_bytes()
        digest.update(f"{path.relative_to(_ROOT).as_posix()} {len(source)}\n".encode() + source)
    return digest.hexdigest()
