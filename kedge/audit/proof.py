"""A proof for somebody who has the verifier key and nothing else: this entry is in the log, and the log only grew.

The file that `prove` fills is read by `tools/verify.py proof`:

    entry       number of the entry, from 0
    line        the entry itself, as it stands in the log: RFC 8785
    inclusion   hashes from the leaf up to the root (RFC 6962, section 2.1.1), base64
    checkpoint  the signed checkpoint with that root
    since       where asked for: an older signed `checkpoint`, and `consistency`, the hashes that show the newer log to
                begin with the older one (section 2.1.2), base64
"""

import base64
from collections.abc import Sequence
from typing import Any

from kedge.audit.checkpoint import Checkpoint, read_all
from kedge.audit.entry import encode
from kedge.audit.lines import TREE
from kedge.audit.log import CHECKPOINTS, Log
from kedge.audit.tree import Tree, leaf_hash, verify_consistency, verify_inclusion
from kedge.errors import Tampered, Terminal

FORMAT = "kedge-audit-proof/1"


def prove(log: Log, number: int, since: int | None = None) -> dict[str, Any]:
    """The proof for entry `number` in the log as it is now, signed anew; ready to be written as JSON.

    Args:
        since: size of an older checkpoint, which somebody holds.

    Raises:
        Terminal: there is no such entry, or no checkpoint of that size.
        Tampered: the log does not give what was signed.
    """
    checkpoint = log.sign()
    if not 0 <= number < checkpoint.size:
        need = f"the number of an entry, 0 to {checkpoint.size - 1}"
        raise Terminal("N", need=need, got=str(number), remedy="Find it with: kedge audit show.")
    line = encode(next(log.entries(number, number + 1))[1])
    older = None if since is None else _older(log, since)
    tree = Tree(log.folder / TREE, size=checkpoint.size)
    try:
        inclusion = tree.inclusion(number, checkpoint.size)
        consistency = tree.consistency(older.size, checkpoint.size) if older else []
    finally:
        tree.close()
    if not verify_inclusion(number, checkpoint.size, leaf_hash(line), inclusion, checkpoint.root):
        raise _unfit(log, f"entry {number} as it was signed")
    if older and not verify_consistency(older.size, checkpoint.size, older.root, checkpoint.root, consistency):
        raise _unfit(log, f"the first {older.size} entries as they were signed")
    proof = {
        "format": FORMAT,
        "entry": number,
        "line": line.decode(),
        "inclusion": _encoded(inclusion),
        "checkpoint": log.signed(checkpoint),
    }
    if older:
        proof["since"] = {"checkpoint": log.signed(older), "consistency": _encoded(consistency)}
    return proof


def _older(log: Log, since: int) -> Checkpoint:
    """The signed checkpoint of that size: only one that was signed is worth a proof."""
    signed = {checkpoint.size: checkpoint for checkpoint in read_all(log.folder / CHECKPOINTS, log.vkey)}
    if since in signed:
        return signed[since]
    near = sorted(sorted(signed, key=lambda size: abs(size - since))[:4])
    need = f"the size of a checkpoint; near it are {', '.join(map(str, near))}"
    raise Terminal("--since", need=need, got=str(since), remedy="Take the size from the checkpoint that you hold.")


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]


def _unfit(log: Log, need: str) -> Tampered:
    remedy = "Run: kedge audit verify."
    return Tampered(f"audit/{log.folder.name}", need=need, got="something else", remedy=remedy, part="log")
