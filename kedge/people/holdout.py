"""Who is held out: by keyed hash, so that it is the same for ever and nobody outside can tell or choose.

With a subject whole people are held out over all nights. Without one, blocks of consecutive rows inside each night
are, since neighbouring rows are often alike (one household, one batch) and would leak across a split by rows.
"""

from hashlib import blake2b

import polars as pl

from kedge.errors import Terminal
from kedge.lake import PARTITION, ROW
from kedge.spec import Declaration
from kedge.spec.canonical import digest

TRAIN, VALIDATION, HELDOUT = "train", "validation", "heldout"
PARTS = (TRAIN, VALIDATION, HELDOUT)
PART = "_part"
"""Column that says which part a row belongs to."""

BLOCK_ROWS = 50
VALIDATION_SHARE = 0.1  # of those not held out: decides when a training stops, then trains in the refit

# Raised by hand whenever the same person would fall on another side; it is a part of the rule's id.
METHOD = 1


def rule_id(declaration: Declaration) -> str:
    """Id of the rule: equal rules (and secrets) hold out the same people."""
    rule = {
        "method": METHOD,
        "by": declaration.evaluation.by,
        "share": declaration.evaluation.holdout,
        "validation": VALIDATION_SHARE,
        "block": BLOCK_ROWS,
    }
    return "h" + digest(rule)[:32]


def split(frame: pl.DataFrame, declaration: Declaration, secret: bytes) -> pl.Series:
    """The part of each row: train, validation or heldout.

    Rows without a subject stand together, as if they were one person's.

    Args:
        frame: rows as released, with `_partition` and `_row`, or with the subject.
        secret: the pipeline's secret for holding out, 32 bytes.

    Raises:
        Terminal: the columns that decide are not there.
    """
    by_subject = declaration.evaluation.by == "subject"
    needed = [declaration.subject] if by_subject and declaration.subject else [PARTITION, ROW]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise Terminal(
            "rows to split",
            need=f"{' and '.join(needed)}, by which rows are held out",
            got=f"rows without {' and '.join(missing)}",
            remedy="Release the subject as a token, and pass the rows as they were read from the lake.",
        )
    if len(needed) == 1:
        keys = frame[needed[0]].cast(pl.String).fill_null("")
    else:
        block = (pl.col(ROW) // BLOCK_ROWS).cast(pl.String)
        keys = frame.select(pl.concat_str(pl.col(PARTITION).cast(pl.String), block, separator="/")).to_series()
    return _parts(keys, declaration.evaluation.holdout, secret).alias(PART)


def _parts(keys: pl.Series, share: float, secret: bytes) -> pl.Series:
    """The part of each key; every distinct one is hashed once."""
    distinct = keys.unique()
    found = [_part(key.encode(), share, secret) for key in distinct.to_list()]
    return keys.replace_strict(distinct, pl.Series(found, dtype=pl.String), return_dtype=pl.String)


def _part(key: bytes, share: float, secret: bytes) -> str:
    if _uniform(key, secret, b"kedge.holdout") < share:
        return HELDOUT
    return VALIDATION if _uniform(key, secret, b"kedge.validate") < VALIDATION_SHARE else TRAIN


def _uniform(key: bytes, secret: bytes, purpose: bytes) -> float:
    """Keyed BLAKE2b (RFC 7693) as a number in [0, 1); unrelated for different purposes."""
    hashed = blake2b(key, digest_size=8, key=secret, person=purpose).digest()
    return int.from_bytes(hashed) / 2**64
