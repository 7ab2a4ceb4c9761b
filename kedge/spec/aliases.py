"""Other spellings of a value: mistakes that would leave open what is meant."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kedge.spec.mistake import Mistake

if TYPE_CHECKING:
    from kedge.spec.columns import Column

TYPES = frozenset({"string", "category", "bool"})


def mistakes(column: "Column") -> Iterator[Mistake]:
    """An alias leads to a value, and to one that is not replaced itself."""
    if not column.aliases:
        return
    values = set(column.values or ())
    if column.type not in TYPES:
        got, remedy = f"type {column.type}", "Change the type or remove aliases."
        yield Mistake(at=("aliases",), need="a column of type bool, category or string", got=got, remedy=remedy)
    if values & column.aliases.keys():
        remedy = "Remove it from values, or from aliases."
        yield Mistake(at=("aliases",), need="spellings that are no declared values", got="one that is", remedy=remedy)
    if values and not values >= set(column.aliases.values()):
        remedy = "Write what the spelling means, as it stands in values."
        yield Mistake(at=("aliases",), need="one of values for each spelling", got="another text", remedy=remedy)
    if column.aliases.keys() & set(column.aliases.values()):
        remedy = "Write the last meaning for each spelling; nothing is replaced twice."
        yield Mistake(at=("aliases",), need="meanings that are no spellings", got="one that is both", remedy=remedy)
