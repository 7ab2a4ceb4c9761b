"""A commitment to the people of a set of rows: their number and the root of a salted hash tree over their tokens.

It names nobody, and later proves that somebody was among them, or was not (the leaves are sorted). Hash tree as in
RFC 6962, section 2.1.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from typing import Any

_LEAF, _NODE = b"\x00", b"\x01"


@dataclass(frozen=True)
class Commitment:
    """Number of people, the salt of the leaves and the root of the tree, both hexadecimal."""

    count: int
    salt: str
    root: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def commit(tokens: Iterable[str], secret: bytes, context: str) -> Commitment:
    """Commit to distinct tokens, in whatever order they come.

    Args:
        secret: the pipeline's secret for indexes, 32 bytes; without it a salt cannot be guessed.
        context: what the commitment is for; another context gives another salt, so that two sets cannot be compared.
    """
    salt = blake2b(context.encode(), key=secret, digest_size=16, person=b"kedge.subjects").digest()
    leaves = sorted(leaf(token, salt) for token in set(tokens))
    return Commitment(len(leaves), salt.hex(), root(leaves).hex())


def leaf(token: str, salt: bytes) -> bytes:
    """Hash of one person's token."""
    return sha256(_LEAF + salt + token.encode()).digest()


def root(leaves: list[bytes]) -> bytes:
    """Root over leaves; of none it is the hash of nothing."""
    level = leaves or [sha256(b"").digest()]
    while len(level) > 1:
        pairs = [sha256(_NODE + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + ([level[-1]] if len(level) % 2 else [])
    return level[0]
