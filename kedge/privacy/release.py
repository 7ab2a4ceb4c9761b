"""Rows across the border, in memory: transformed, then masked."""

import polars as pl

from kedge.privacy.classes import Masked, mask
from kedge.privacy.plan import Plan
from kedge.privacy.transform import TokenKeys, transform


def release(frame: pl.LazyFrame | pl.DataFrame, plan: Plan, secrets: TokenKeys) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Everybody as the plan shows them: the rows that may be released, and the others.

    Args:
        frame: validated rows of one day with `_row`.

    Returns:
        released rows, and dropped rows with all quasi-identifiers missing; same columns, `_row` untouched.
    """
    masked = cross(frame, plan, secrets)
    return masked.frame, masked.dropped


def cross(frame: pl.LazyFrame | pl.DataFrame, plan: Plan, secrets: TokenKeys) -> Masked:
    """`release` with all that was measured on the way."""
    shown = transform(frame.lazy(), plan, secrets).collect(engine="streaming")
    return mask(shown, plan.quasi, plan.k, plan.subject)
