"""Turn the delivery of a partition into the dataset `validated` (rows that meet the contract) and `quarantine`."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from kedge import faults
from kedge.lake import Draft, Outcome, Version, produce
from kedge.outcome import Check, Fact, Findings
from kedge.quality import evaluate, lagged, personal, suite
from kedge.quality.rules import AGREES, COLUMNS, PERSONAL, ROWS, SHARE, Rule, describe
from kedge.quality.typed import typed
from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.workspace import Workspace

# Raised by hand whenever the same raw rows would give other validated rows; a golden digest in the tests guards it.
CODE_VERSION = 1
_NAMES_SHOWN = 10

faults.register("quality.quarantine.after")


@dataclass(frozen=True, kw_only=True)
class Validated:
    """Both outcomes; no quarantine when the columns are not the declared ones, since no rule could be evaluated."""

    validated: Outcome
    quarantine: Outcome | None


def validate(ws: "Workspace", declaration: Declaration, partition: str) -> Validated:
    """Validate a partition's current raw version.

    Rows that break a row rule go to quarantine with the names of the rules. The version stays unpointed, with its
    verdict, when a rule about the whole delivery fails: other columns than declared, no rows, too many rows at fault,
    too many missing cells, personal data in a column that does not declare it, or two engines that disagree.

    Raises:
        Terminal: there is no raw version.
    """
    raw = ws.dataset(declaration.name, "raw").require(partition, "Take the delivery first.")
    delivery = declaration.delivery
    examination = Examination(raw, delivery, lagged.nights(ws, delivery, partition))
    quarantine = None
    if not examination.strangers and not examination.absent:
        quarantine = _produce(ws, "quarantine", examination, examination.set_aside)
        faults.reach("quality.quarantine.after")
    validated = _produce(ws, "validated", examination, examination.accept)
    return Validated(validated=validated, quarantine=quarantine)


def _produce(ws: "Workspace", stage: str, examination: "Examination", write: Callable[[Draft], Findings]) -> Outcome:
    raw, declaration = examination.raw, examination.declaration
    return produce(
        ws.dataset(declaration.name, stage),
        raw.partition,
        inputs={"raw": raw.id} | lagged.inputs(examination.nights),
        declared=declaration.part(stage),
        code=CODE_VERSION,
        write=write,
    )


class Examination:
    """One raw version seen through the contract; evaluated when asked for the first time, so not in a rerun."""

    def __init__(self, raw: Version, declaration: Declaration, nights: lagged.Nights = MappingProxyType({})) -> None:
        self.raw, self.declaration, self.nights = raw, declaration, nights
        there = [name for name, _ in raw.manifest.schema if name != "_row"]
        self.strangers = [name for name in there if name not in declaration.delivered]
        self.absent = [name for name in declaration.delivered if name not in there]

    def accept(self, draft: Draft) -> Findings:
        """Write the rows that meet the contract, typed, and say how the rules were met.

        Great Expectations judges meanwhile: it computes in Python, and writing does not.
        """
        if not self.strangers and not self.absent:
            rows = self.accepted()
            with ThreadPoolExecutor(1) as beside:
                judged = beside.submit(lambda: self._agreement)
                draft.write_frame(rows)
            judged.result()
        return self._findings(self.checks())

    def set_aside(self, draft: Draft) -> Findings:
        """Write the rows that do not."""
        draft.write_frame(self.rejected())
        return self._findings(())

    def accepted(self) -> pl.LazyFrame:
        """The rows that meet the contract, typed, `_row` last."""
        return typed(self._accepted, self.declaration.columns)

    def rejected(self) -> pl.LazyFrame:
        """The rows that do not, as text, each with the names of the rules it breaks (`_reasons`)."""
        reasons = self.flags.reasons().lazy()
        failing = self.raw.scan().filter(pl.col("_row").is_in(self.failing.implode()))
        return failing.join(reasons, on="_row", maintain_order="left")

    def checks(self) -> tuple[Check, ...]:
        """How the rules were met; of other columns than the declared ones no more is known than that."""
        if self.strangers or self.absent:
            return (self._columns_check(),)
        return (*self._rule_checks(), *self._table_checks())

    @cached_property
    def flags(self) -> evaluate.Flags:
        return evaluate.evaluate(self._frame, self.declaration)

    @cached_property
    def failing(self) -> pl.Series:
        return self.flags.failing()

    @property
    def _frame(self) -> pl.LazyFrame:
        """Text as received, lagged columns beside it."""
        return lagged.joined(self.raw.scan(), self.declaration, self.nights)

    @property
    def _accepted(self) -> pl.LazyFrame:
        return self._frame.filter(~pl.col("_row").is_in(self.failing.implode()))

    def _findings(self, checks: tuple[Check, ...]) -> Findings:
        facts: dict[str, Fact] = {"rows_in": self.raw.manifest.rows}
        if not self.strangers and not self.absent:
            facts |= {"quarantined": self.failing.len(), "quarantined_share": self._share}
        return Findings(checks=checks, facts=facts, notes={"raw": self.raw.id})

    @property
    def _share(self) -> float:
        return self.failing.len() / max(1, self.flags.num_rows)

    def _rule_checks(self) -> Iterator[Check]:
        counts = self.flags.counts()
        for rule in self.flags.rules:
            yield _check(rule, counts[rule.name], self.flags.num_rows)

    def _table_checks(self) -> Iterator[Check]:
        yield self._columns_check()
        yield _table_check(ROWS, self.flags.num_rows > 0, rows=self.flags.num_rows)
        at_most = self.declaration.quarantine_at_most
        yield _table_check(
            SHARE, self._share <= at_most, share=self._share, at_most=at_most, quarantined=self.failing.len()
        )
        found = personal.suspects(self._accepted, self.declaration)
        yield _table_check(PERSONAL, not found, **{f"{one.column}_{one.kind}_share": one.share for one in found})
        yield self._agreement

    def _columns_check(self) -> Check:
        facts = {"unknown": _listed(self.strangers), "missing": _listed(self.absent)}
        return _table_check(COLUMNS, not self.strangers and not self.absent, **facts)

    @cached_property
    def _agreement(self) -> Check:
        """Let Great Expectations judge the same rows, all of them or those that matter and a sample."""
        rows, whole = evaluate.subset(self.flags, suite.MAX_ROWS, suite.SAMPLED_ROWS, seed=0)
        frame = self._frame.filter(pl.col("_row").is_in(rows.implode())).collect()
        # without all failing rows a value may have lost its twin
        rules = [rule for rule in self.flags.rules if whole or rule.kind != "unique"]
        flags = evaluate.restricted(self.flags, rows)
        clean = {name for name, count in flags.counts().items() if not count}
        disputed = evaluate.disagreements(flags, suite.evaluate(frame, self.declaration, clean), rules)
        return _table_check(AGREES, not disputed, disputed=_listed(disputed), rules=len(rules), rows=frame.height)


def _check(rule: Rule, failing: int, num_rows: int) -> Check:
    facts: dict[str, Fact] = {"failing": failing, "rows": num_rows}
    passed = failing == 0
    if rule.kind == "nulls_at_most":
        share, at_most = failing / max(1, num_rows), float(str(rule.bound))
        facts |= {"share": share, "at_most": at_most}
        passed = share <= at_most
    return Check(name=rule.name, passed=passed, blocking=rule.blocking, facts=facts, description=rule.description)


def _table_check(name: str, passed: bool, **facts: Fact) -> Check:
    return Check(name=name, passed=passed, facts=facts, description=describe(name))


def _listed(names: Sequence[str]) -> str:
    """Some names; of columns or rules, which passed the allow-list."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
