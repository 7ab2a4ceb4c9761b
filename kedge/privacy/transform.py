"""The plan carried out column by column: rows stay, identifiers go."""

from typing import Protocol, TypeVar

import polars as pl

from kedge.privacy.generalize import generalize
from kedge.privacy.plan import ROW, Plan, PlannedColumn
from kedge.privacy.redact import redact
from kedge.privacy.token import token

Frame = TypeVar("Frame", pl.LazyFrame, pl.DataFrame)


class TokenKeys(Protocol):
    """Where the keys of tokens come from: the secrets of one pipeline."""

    def token(self, domain: str) -> bytes:
        """Key of the domain, 32 bytes."""
        ...


def transform(frame: Frame, plan: Plan, secrets: TokenKeys) -> Frame:
    """Drop, tokenise, generalise and redact; `_row` passes untouched.

    Args:
        frame: validated rows with their declared types; columns that the plan does not name are left behind.

    Returns:
        `_row`, if it was there, and the released columns in declared order. Classes are not looked at: see `mask`.
    """
    row = [pl.col(ROW)] if ROW in frame.collect_schema().names() else []
    return frame.select(*row, *(_released(column, plan, secrets) for column in plan.released))


def _released(column: PlannedColumn, plan: Plan, secrets: TokenKeys) -> pl.Expr:
    match column.treatment:
        case "token":
            return token(column.name, secrets.token(column.domain or column.name))
        case "bins" | "prefix":
            return generalize(column).alias(column.name)
        case "redact":
            return redact(column.name, plan.columns)
        case _:
            return pl.col(column.name)
