"""Who is held out: by keyed hash, so that it is the same for ever and nobody outside can tell or choose.

With a subject whole people are held out over all nights. Without one, blocks of consecutive rows inside each night
are, since neighbouring rows are often alike (one household, one batch) and would leak across a split by rows. By
features, all rows of a window that a model cannot tell apart are held out together, on whatever night they came.
"""

from hashlib import blake2b

import polars as pl

from kedge.errors import Terminal
from kedge.lake import PARTITION, ROW
from kedge.people.alike import alike
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
    rule: dict[str, object] = {
        "method": METHOD,
        "by": declaration.evaluation.by,
        "share": declaration.evaluation.holdout,
        "validation": VALIDATION_SHARE,
        "block": BLOCK_ROWS,
    }
    if declaration.evaluation.by == "features":
        rule["features"] = [[name, declaration.feature_kind(name)] for name in sorted(declaration.features)]
    return "h" + digest(rule)[:32]


def split(frame: pl.DataFrame, declaration: Declaration, secret: bytes) -> pl.Series:
    """The part of each row: train, validation or heldout.

    Rows without a subject stand together, as if they were one person's.

    Args:
        frame: rows as released, with what `decisive` names.
        secret: the pipeline's secret for holding out, 32 bytes.

    Raises:
        Terminal: the columns that decide are not there.
    """
    needed = decisive(declaration)
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise Terminal(
            "rows to split",
            need=f"{' and '.join(needed)}, by which rows are held out",
            got=f"rows without {' and '.join(missing)}",
            remedy="Release the subject as a token, and pass the rows as they were read from the lake.",
        )
    share = declaration.evaluation.holdout
    if declaration.evaluation.by == "features":
        numeric = [name for name in needed if declaration.feature_kind(name) == "numeric"]
        groups, group = alike(frame.select(needed), numeric, secret)
        found = pl.Series([_part(key, share, secret) for key in groups], dtype=pl.String)
        return found.gather(group).alias(PART)
    if declaration.evaluation.by == "subject":
        keys = frame[needed[0]].cast(pl.String).fill_null("")
    else:
        block = (pl.col(ROW) // BLOCK_ROWS).cast(pl.String)
        keys = frame.select(pl.concat_str(pl.col(PARTITION).cast(pl.String), block, separator="/")).to_series()
    return _parts(keys, share, secret).alias(PART)


def decisive(declaration: Declaration) -> list[str]:
    """Columns that decide on which side a row falls."""
    if declaration.evaluation.by == "features":
        return sorted(declaration.features)
    if declaration.evaluation.by == "subject" and declaration.subject:
        return [declaration.subject]
    return [PARTITION, ROW]


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
