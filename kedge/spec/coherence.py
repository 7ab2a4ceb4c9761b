"""Mistakes that show when the settings of one column are laid side by side."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING

from kedge.spec import aliases
from kedge.spec.labels import column_mistakes
from kedge.spec.mistake import Mistake, describe

if TYPE_CHECKING:
    from kedge.spec.columns import Column

NUMBERS = frozenset({"integer", "float"})
DATES = frozenset({"date", "datetime"})
TEXTS = frozenset({"string", "category"})
# Which types a treatment can be applied to; drop suits all.
_APPLIES = {
    "token": frozenset({"string", "category", "integer"}),
    "bins": NUMBERS | DATES,
    "prefix": TEXTS,
    "redact": frozenset({"string"}),
}


def mistakes(column: "Column", broken: frozenset[str]) -> Iterator[Mistake]:
    """All such mistakes; a check that needs a `broken` setting is left out."""
    for check, needs in _CHECKS.items():
        if not broken & needs:
            yield from check(column)


def _typed(column: "Column") -> Iterator[Mistake]:
    if column.values is not None and column.type not in TEXTS:
        yield _needs_type("values", TEXTS, column)
    if column.format is not None and column.type != "string":
        yield _needs_type("format", frozenset({"string"}), column)
    for key, bound in (("min", column.min), ("max", column.max)):
        types = DATES if isinstance(bound, date) else NUMBERS
        if bound is not None and column.type not in types:
            yield _needs_type(key, types, column)


def _treated(column: "Column") -> Iterator[Mistake]:
    if column.privacy is None:
        return
    kind, unit, width = column.privacy.kind, column.privacy.unit, column.privacy.width
    if column.type not in _APPLIES.get(kind, {column.type}):
        yield _needs_type("privacy", _APPLIES[kind], column)
    elif kind == "bins" and (unit is None) != (column.type in NUMBERS):
        yield Mistake(
            at=("privacy",),
            need="a number for numbers, and years, months or days for dates",
            got=f"bins of the other kind for type {column.type}",
            remedy="Write {bins: 5} for numbers or {bins: 10y} for dates.",
        )
    elif kind == "bins" and column.type == "integer" and width != int(width or 0):
        yield Mistake(at=("privacy",), need="bins of whole numbers", got=f"{width:g}", remedy="Write {bins: 5}.")


def _ordered(column: "Column") -> Iterator[Mistake]:
    comparable = column.min is not None and type(column.min) is type(column.max)
    if comparable and column.min > column.max:
        yield Mistake(at=("max",), need="at least min", got=str(column.max), remedy="Exchange the two.")


def _distinct(column: "Column") -> Iterator[Mistake]:
    if column.values and len(set(column.values)) < len(column.values):
        yield Mistake(at=("values",), need="each value once", got="one twice", remedy="Remove the repetition.")


def _subject(column: "Column") -> Iterator[Mistake]:
    if column.role != "subject":
        return
    if column.type not in ("string", "integer"):
        yield _needs_type("role", frozenset({"string", "integer"}), column)
    if column.treatment != "token":
        yield Mistake(
            at=("privacy",),
            need="token for the subject: people are counted and held out by it",
            got=column.treatment or "nothing",
            remedy="Write privacy: token.",
        )


def _target(column: "Column") -> Iterator[Mistake]:
    if column.role != "target":
        return
    num_values = len(column.values or ())
    if column.type == "integer" and (column.min is None or column.min < 0):
        yield Mistake(
            at=("min",),
            need="at least 0 for a target of type integer, which is a count",
            got=describe(column.min),
            remedy="Write min: 0, or type: float for a number that is no count.",
        )
    enough = num_values == 2 or (num_values > 2 and column.positive is not None)
    if column.type not in ("bool", "integer", "float") and (column.type != "category" or not enough):
        yield Mistake(
            at=("type",),
            need="bool, category with two values (or more and positive), integer (a count) or float",
            got=column.type + (f" with {num_values} values" if num_values else ""),
            remedy="Write type: bool, or category and its two values, the positive one last, or positive: VALUE.",
        )
    if column.privacy is not None:
        got = column.privacy.kind
        yield Mistake(at=("privacy",), need="nothing for the target", got=got, remedy="Remove it.")


def _positive(column: "Column") -> Iterator[Mistake]:
    if column.positive is not None and (column.role != "target" or column.positive not in (column.values or ())):
        yield Mistake(
            at=("positive",),
            need="one of the values of a category target",
            got="another text" if column.role == "target" else "it on a column that is no target",
            remedy="Write a value of the target as it stands in values, or remove it.",
        )


def _exposure(column: "Column") -> Iterator[Mistake]:
    if column.role != "exposure":
        return
    if column.type not in NUMBERS:
        yield _needs_type("role", NUMBERS, column)
    elif column.min is None or column.min <= 0:
        remedy = "Write the smallest one there can be, such as min: 0.001; rows below it go to quarantine."
        yield Mistake(at=("min",), need="a number above 0 for the exposure", got=describe(column.min), remedy=remedy)
    if column.privacy is not None:
        got = column.privacy.kind
        yield Mistake(at=("privacy",), need="nothing for the exposure", got=got, remedy="Remove it.")


def _present(column: "Column") -> Iterator[Mistake]:
    if column.role and column.nulls:
        yield Mistake(
            at=("nulls",),
            need=f"0 for the {column.role}",
            got=str(column.nulls),
            remedy="Rows without it go to quarantine; remove the setting.",
        )


def _released(column: "Column") -> Iterator[Mistake]:
    got = f"role: {column.role}" if column.role else f"privacy: {column.treatment}"
    if column.quasi and (column.role or column.treatment in ("drop", "token", "redact")):
        need = "a released column without a role (as it is, bins or prefix)"
        yield Mistake(at=("quasi",), need=need, got=got, remedy="Remove quasi: true.")
    if column.feature and (column.role or column.treatment == "drop"):
        need = "a released column without a role"
        yield Mistake(at=("feature",), need=need, got=got, remedy="Remove feature: true.")


def _domain(column: "Column") -> Iterator[Mistake]:
    if column.domain and column.treatment != "token":
        yield Mistake(at=("domain",), need="privacy: token", got="no token", remedy="Remove domain.")


def _needs_type(setting: str, types: frozenset[str], column: "Column") -> Mistake:
    need = f"a column of type {' or '.join(sorted(types))}"
    remedy = f"Change the type or remove {setting}."
    return Mistake(at=(setting,), need=need, got=f"type {column.type}", remedy=remedy)


# Each check with the settings it reads.
_CHECKS: dict[Callable[["Column"], Iterator[Mistake]], set[str]] = {
    _typed: {"type"},
    _treated: {"type", "privacy"},
    _ordered: {"min", "max"},
    _distinct: {"values"},
    _subject: {"role", "type", "privacy"},
    _target: {"role", "type", "values", "min", "positive"},
    _positive: {"role", "values", "positive"},
    aliases.mistakes: {"type", "values", "aliases"},
    _exposure: {"role", "type", "privacy", "min"},
    _present: {"role", "nulls"},
    _released: {"role", "privacy"},
    _domain: {"privacy"},
    column_mistakes: {"from", "role", "privacy", "feature"},
}
