"""The asset `labels`: a day's outcomes, judged by their contract and joined with the validated rows of that day."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from kedge.labels.match import Matched, match
from kedge.labels.rules import AGREE, MATCHED, PRESENT, SINGLE, blocks, describe
from kedge.lake import ROW, Draft, Outcome, Version, produce, raw_ancestor
from kedge.outcome import Check, Fact, Findings
from kedge.quality import rules
from kedge.quality.validate import Examination
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.spec.labels import contract
from kedge.workspace import Workspace

# Raised by hand whenever the same file and night would give other labels; a golden digest in the tests guards it.
CODE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Both outcomes; no quarantine when the file's columns are not the declared ones."""

    labels: Outcome
    quarantine: Outcome | None


def label(ws: Workspace, declaration: Declaration, partition: str) -> Labelled:
    """Take the labels of a day in and join them with the day's current validated rows.

    The file is kept as it came (`labels_raw`), so that labels can be joined anew when the night changes. What breaks
    the contract, what contradicts itself and what could mean several rows goes to `labels_quarantine`, as received,
    with the reasons. Labels without a row in the night are counted.

    Returns:
        the outcome for `labels` (restricted): `_row` of the night and the label columns, one label per row at most;
        checks as in `kedge.labels.rules`; facts as in `_facts`; notes `raw` (of the night), `validated`, `labels_raw`.

    Raises:
        Transient: the file is not there yet.
        Terminal: it cannot be read, or the night has no validated rows.
    """
    file = contract(declaration)
    remedy = "Run the night first; if it was blocked, its checks say why."
    validated = ws.dataset(declaration.name, "validated").require(partition, remedy)
    delivered = take(ws, file, partition, dataset="labels_raw").version
    joining = _Joining(declaration, Examination(delivered, file), validated)
    quarantine = None if joining.unreadable else joining.store(ws, "labels_quarantine", joining.set_aside)
    return Labelled(labels=joining.store(ws, "labels", joining.accept), quarantine=quarantine)


@dataclass(frozen=True)
class _Joining:
    """One file of labels and the night they belong to; evaluated when asked for the first time."""

    declaration: Declaration
    examination: Examination
    validated: Version

    def store(self, ws: Workspace, name: str, write: Callable[[Draft], Findings]) -> Outcome:
        return produce(
            ws.dataset(self.declaration.name, name),
            self.validated.partition,
            inputs={"labels_raw": self.examination.raw.id, "validated": self.validated.id},
            declared=self.declaration.part(name),
            code=CODE_VERSION,
            write=write,
        )

    @property
    def unreadable(self) -> bool:
        """Whether other columns came than the declared ones, so that no rule can be evaluated."""
        return bool(self.examination.strangers or self.examination.absent)

    @property
    def on(self) -> tuple[str, ...]:
        late = self.declaration.late
        return tuple(name for name in self.examination.declaration.columns if name not in late)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The label columns that are stored."""
        columns = self.declaration.columns
        return tuple(name for name in self.declaration.late if columns[name].treatment != "drop")

    def accept(self, draft: Draft) -> Findings:
        """Write the labels that belong to a row, and say how the others fared."""
        if self.unreadable:
            return Findings(checks=self.examination.checks(), notes=self._notes)
        draft.write_frame(self.matched.rows)
        contract_checks = (check for check in self.examination.checks() if check.name != rules.SHARE)
        return Findings(checks=(*contract_checks, *self._checks()), facts=self._facts, notes=self._notes)

    def set_aside(self, draft: Draft) -> Findings:
        """Write the rows of the file that broke a rule or cannot be told, as received, with the reasons."""
        unclear = self.examination.raw.scan().join(self.matched.unclear.lazy(), on=ROW, maintain_order="left")
        draft.write_frame(pl.concat([self.examination.rejected(), unclear]).sort(ROW))
        return Findings(facts={"rows_in": self._rows_in, "quarantined": self._quarantined}, notes=self._notes)

    @cached_property
    def matched(self) -> Matched:
        night = self.validated.scan().select(ROW, *self.on).collect()
        return match(self.examination.accepted().collect(), night, self.on, self.outcomes)

    @property
    def _rows_in(self) -> int:
        return self.examination.raw.manifest.rows

    @property
    def _quarantined(self) -> int:
        return self.examination.failing.len() + self.matched.unclear.height

    @property
    def _notes(self) -> dict[str, str]:
        return {
            "raw": raw_ancestor(self.validated),
            "validated": self.validated.id,
            "labels_raw": self.examination.raw.id,
        }

    @property
    def _facts(self) -> dict[str, Fact]:
        """Counts of the file's rows, and the share of the night's rows that have a label now."""
        night = self.validated.manifest.rows
        return {
            "rows_in": self._rows_in,
            "labelled": self.matched.rows.height,
            "night_rows": night,
            "labelled_share": self.matched.rows.height / max(1, night),
            "repeated": self.matched.repeated,
            "contradicting": self.matched.contradicting,
            "several_rows": self.matched.several_rows,
            "unmatched": self.matched.unmatched,
            "quarantined": self._quarantined,
            "quarantined_share": self._quarantined / max(1, self._rows_in),
        }

    def _checks(self) -> Iterator[Check]:
        matched, rows = self.matched, max(1, self._rows_in)
        at_most = self.declaration.quarantine_at_most
        share, strays = self._quarantined / rows, matched.unmatched / rows
        yield Check(
            name=rules.SHARE,
            passed=share <= at_most,
            facts={"share": share, "at_most": at_most, "quarantined": self._quarantined},
            description=rules.describe(rules.SHARE),
        )
        yield _check(AGREE, not matched.contradicting, contradicting=matched.contradicting)
        yield _check(SINGLE, not matched.several_rows, several_rows=matched.several_rows)
        yield _check(MATCHED, strays <= at_most, unmatched=matched.unmatched, share=strays, at_most=at_most)
        yield _check(PRESENT, matched.rows.height > 0, labelled=matched.rows.height)


def _check(name: str, passed: bool, **facts: Fact) -> Check:
    return Check(name=name, passed=passed, blocking=blocks(name), facts=facts, description=describe(name))
