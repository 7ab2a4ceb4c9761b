"""The contract as named rules: every rule of a declaration becomes one check of that name.

Light on purpose (no polars): a code location names its checks from here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from kedge.spec import Column, Declaration

Kind = Literal["type", "not_null", "nulls_at_most", "min", "max", "values", "unique", "format"]

# Checks of a whole delivery that every pipeline has; all of them block.
COLUMNS, ROWS, SHARE, PERSONAL, AGREES = (
    "columns_declared",
    "rows_present",
    "quarantine_share",
    "personal_data",
    "gx_agrees",
)
_TABLE = {
    COLUMNS: "The delivery has exactly the declared columns.",
    ROWS: "The delivery has rows.",
    SHARE: "No more rows fail the contract than quarantine_at_most allows.",
    PERSONAL: "No text column without privacy holds e-mail addresses, phone numbers or other personal patterns.",
    AGREES: "Great Expectations and polars find the same rows at fault, rule by rule.",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of the contract.

    Attributes:
        name: `<column>_<kind>`, or the name of a table rule; that of its check.
        column, kind: None for table rules.
        scope: a `row` rule sends single rows to quarantine; a `table` rule blocks the whole delivery.
        bound: of min and max, the share of nulls_at_most.
        values: of values.
        format: of format.
        description: one sentence for people.
    """

    name: str
    scope: Literal["row", "table"]
    description: str
    column: str | None = None
    kind: Kind | None = None
    bound: float | date | None = None
    values: tuple[str, ...] = ()
    format: str | None = None

    @property
    def blocking(self) -> bool:
        return self.scope == "table"


def rules(declaration: Declaration) -> tuple[Rule, ...]:
    """All rules of a declaration in declared order, the table rules that every pipeline has at the end."""
    table = (Rule(name=name, scope="table", description=text) for name, text in _TABLE.items())
    return (*column_rules(declaration), *table)


def column_rules(declaration: Declaration) -> tuple[Rule, ...]:
    """The rules that look at cells: those that polars and Great Expectations both evaluate."""
    return tuple(rule for name, column in declaration.columns.items() for rule in _of(name, column))


def describe(name: str) -> str:
    """The sentence of a table rule."""
    return _TABLE[name]


def _of(name: str, column: Column) -> Iterator[Rule]:
    def row(kind: Kind, text: str, **parameters: object) -> Rule:
        return Rule(name=f"{name}_{kind}", scope="row", column=name, kind=kind, description=text, **parameters)  # type: ignore[arg-type]

    yield row("type", f"{name} is of type {column.type} where it is not missing.")
    if column.nulls == 0:
        yield row("not_null", f"{name} is never missing.")
    elif column.nulls < 1:
        yield Rule(
            name=f"{name}_nulls_at_most",
            scope="table",
            column=name,
            kind="nulls_at_most",
            bound=column.nulls,
            description=f"{name} is missing in at most {column.nulls:.4g} of the rows.",
        )
    if column.min is not None:
        yield row("min", f"{name} is at least {column.min}.", bound=column.min)
    if column.max is not None:
        yield row("max", f"{name} is at most {column.max}.", bound=column.max)
    if column.values is not None:
        yield row("values", f"{name} is one of its declared values.", values=column.values)
    if column.unique:
        yield row("unique", f"{name} occurs once in a delivery.")
    if column.format is not None:
        yield row("format", f"{name} looks like what {column.format} looks like.", format=column.format)
