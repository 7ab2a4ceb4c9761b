"""All rules of a contract as one polars query over all rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from kedge.quality import typed
from kedge.quality.grammar import FORMATS, rust
from kedge.quality.rules import Rule, column_rules
from kedge.spec import Column, Declaration


@dataclass(frozen=True)
class Flags:
    """Which rows break which rules: one bit per row and rule, so that a million rows with 30 rules take 4 MB.

    Attributes:
        frame: `_row` and one Boolean column per rule (by its name), True where the row breaks it. A rule
            `nulls_at_most` marks the missing cells.
        rules: the rules, in declared order.
    """

    frame: pl.DataFrame
    rules: tuple[Rule, ...]

    @property
    def num_rows(self) -> int:
        return self.frame.height

    def positions(self, rule: str) -> pl.Series:
        """`_row` of the rows that break a rule, ascending."""
        return self.frame.filter(pl.col(rule))["_row"].sort()

    def counts(self) -> dict[str, int]:
        """Rows that break each rule."""
        return {rule.name: int(self.frame[rule.name].sum()) for rule in self.rules}

    def failing(self) -> pl.Series:
        """`_row` of the rows that break at least one row rule."""
        return self.frame.filter(pl.any_horizontal(pl.lit(False), *self._row_rules()))["_row"]

    def reasons(self) -> pl.DataFrame:
        """`_row` and `_reasons` (names of the rules it breaks) of each failing row."""
        names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in self._row_rules()]
        reasons = pl.concat_list(*names).list.drop_nulls() if names else pl.lit([], dtype=pl.List(pl.String))
        return self.frame.filter(pl.any_horizontal(pl.lit(False), *self._row_rules())).select(
            "_row", reasons.alias("_reasons")
        )

    def _row_rules(self) -> list[str]:
        return [rule.name for rule in self.rules if rule.scope == "row"]


def evaluate(frame: pl.LazyFrame, declaration: Declaration) -> Flags:
    """Evaluate the contract.

    Args:
        frame: text as received; all declared columns and `_row`.
    """
    rules = column_rules(declaration)
    broken = [_breaks(rule, declaration.columns[str(rule.column)]).alias(rule.name) for rule in rules]
    prepared = typed.prepared(frame, declaration.columns)
    return Flags(prepared.select("_row", *broken).collect(engine="streaming"), rules)


def _breaks(rule: Rule, column: Column) -> pl.Expr:
    name = str(rule.column)
    cell, value = pl.col(name), typed.prepared_value(name, column)
    match rule.kind:
        case "type":
            return typed.is_broken(name, column)
        case "not_null" | "nulls_at_most":
            return cell.is_null()
        case "min":
            return (_comparable(value, column) < rule.bound).fill_null(False)
        case "max":
            return (_comparable(value, column) > rule.bound).fill_null(False)
        case "values":
            return (~cell.is_in(list(rule.values))).fill_null(False)
        case "unique":
            return value.is_not_null() & value.is_duplicated()
        case "format":
            return (~cell.str.contains(rust(FORMATS[str(rule.format)]))).fill_null(False)
    raise ValueError(f"rule {rule.name}: needs a kind of kedge.quality.rules.Kind. Correct the caller.")


def _comparable(value: pl.Expr, column: Column) -> pl.Expr:
    """Bounds of times are whole days, inclusive."""
    return value.dt.date() if column.type == "datetime" else value


def subset(flags: Flags, at_most: int, sampled: int, seed: int) -> tuple[pl.Series, bool]:
    """Rows for the second opinion: all of them up to `at_most`, above that the rows that fail and a seeded sample of
    the others. A missing cell that the contract allows does not make a row fail: there may be any number of them.

    Args:
        at_most: of more failing rows only so many are looked at, drawn with the seed.
        sampled: of the others.

    Returns:
        `_row`s, ascending, and whether every failing row is among them.
    """
    rows = flags.frame["_row"]
    if rows.len() <= at_most:
        return rows.sort(), True
    failing = flags.failing()
    if failing.len() > at_most:
        return failing.sample(at_most, seed=seed).sort(), False
    others = rows.filter(~rows.is_in(failing.implode()))
    drawn = min(sampled, at_most - failing.len(), others.len())
    return pl.concat([failing, others.sample(drawn, seed=seed)]).sort(), True


def restricted(flags: Flags, rows: pl.Series) -> Flags:
    """The flags of some rows only."""
    return Flags(flags.frame.filter(pl.col("_row").is_in(rows.implode())), flags.rules)


def disagreements(flags: Flags, found: dict[str, pl.Series | None], rules: Sequence[Rule]) -> tuple[str, ...]:
    """Names of the rules about which a second engine found other rows, or nothing at all."""
    return tuple(
        rule.name
        for rule in rules
        if (other := found.get(rule.name)) is None or not flags.positions(rule.name).equals(other.unique().sort())
    )
