"""Personal data where nobody declared any: patterns of it in text columns that would be released as they are.

It catches a column that holds another kind of thing than its declaration says. Single stray cells pass: an e-mail
address in fewer than 1 % of a column's distinct values is released with them.
"""

from dataclasses import dataclass

import polars as pl

from kedge.patterns import PATTERNS
from kedge.quality.typed import text
from kedge.spec import Declaration

KINDS = ("email", "iban", "card", "ssn", "phone", "ip")
SHARE = 0.01  # of a column's distinct values


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """Which kind of personal data a column seems to hold, and in which share of its distinct values; never a value."""

    column: str
    kind: str
    share: float


def suspects(frame: pl.LazyFrame, declaration: Declaration) -> tuple[Suspicion, ...]:
    """Look for patterns in text columns that declare neither `privacy` nor `values`.

    Args:
        frame: text as received.

    Returns:
        Per such column the most frequent kind, if at least 1 % of its distinct values hold it.
    """
    found = (_worst(frame, declaration, name) for name in looked_at(declaration))
    return tuple(suspicion for suspicion in found if suspicion is not None)


def looked_at(declaration: Declaration) -> tuple[str, ...]:
    """Columns that are looked at."""
    return tuple(
        name
        for name, column in declaration.columns.items()
        if column.type in ("string", "category") and column.privacy is None and column.values is None
    )


def _worst(frame: pl.LazyFrame, declaration: Declaration, name: str) -> Suspicion | None:
    # All of them, 0.3 us each and kind: a part of them would give another verdict whenever their order changed.
    distinct = frame.select(text(name, declaration.columns[name]).alias(name)).drop_nulls().unique()
    patterns = [pl.col(name).str.contains(PATTERNS[kind]).mean().alias(kind) for kind in KINDS]
    shares = {kind: share or 0.0 for kind, share in distinct.select(patterns).collect().row(0, named=True).items()}
    kind = max(shares, key=shares.__getitem__)
    return Suspicion(column=name, kind=kind, share=shares[kind]) if shares[kind] >= SHARE else None
