"""The asset `drift_report`: a night against the champion's reference, judged column by column."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from kedge import durable, faults
from kedge.drift.checks import OVERALL, PREDICTION, TARGET, feature_check
from kedge.drift.judge import PREDICTION as PREDICTED
from kedge.drift.judge import Night, Scores
from kedge.drift.reference import Reference, reference, seed_of
from kedge.drift.sample import Sample, draw
from kedge.drift.verdict import ColumnVerdict, DayVerdict
from kedge.lake import ALL, Draft, Outcome, Version, produce
from kedge.outcome import Check, Fact, Findings
from kedge.people import labels_of
from kedge.registry.store import Registry
from kedge.spec import Declaration
from kedge.workspace import Workspace

faults.register("drift.html", steps=durable.REPLACE)

# Raised by hand whenever the same inputs would give another verdict; a golden digest in the tests guards it.
CODE_VERSION = 1

COLUMNS = "columns.json"
Score = Callable[[Version, pl.DataFrame], Scores]


def report(
    ws: Workspace, declaration: Declaration, partition: str, *, score: Score, champion: Version | None = None
) -> Outcome | None:
    """Judge a night.

    Outcomes that arrive later are compared where the night has them already; usually it has none yet.

    Args:
        score: gives (n,) scores of a model for rows as released, see `kedge.scoring.scorer`.
        champion: version of dataset `model`; by default the one in production.

    Returns:
        the outcome for dataset `drift_report`: checks as in `kedge.drift.checks`, none blocking; facts `drifted`,
        `reason`, `drifted_columns`, `drifted_share`, `rows` and `html` (a file for people); notes as in `_notes`. None
        before the first champion.

    Raises:
        Terminal: the night has no current anonymized rows, or a night of the reference is no longer stored.
    """
    model = champion or _in_production(ws, declaration)
    if model is None:
        return None
    remedy = "Run the night first; if it was blocked, its checks say why."
    night = ws.dataset(declaration.name, "anonymized").require(partition, remedy)
    labels = labels_of(ws, declaration, night)
    return produce(
        ws.dataset(declaration.name, "drift_report"),
        partition,
        inputs={"anonymized": night.id, "model": model.id} | ({"labels": labels.id} if labels else {}),
        declared=declaration.part("drift_report"),
        code=CODE_VERSION,
        write=_Comparison(ws, declaration, model, night, labels, score).write,
    )


def html_path(ws: Workspace, version: Version) -> Path:
    """Evidently's HTML of a stored report."""
    return ws.report_path(version.dataset.pipeline, "drift_report", version.partition, version.id, ".html")


def _in_production(ws: Workspace, declaration: Declaration) -> Version | None:
    champion = Registry.open(ws, declaration.name).champion()
    return ws.dataset(declaration.name, "model").version(ALL, champion.model) if champion else None


@dataclass(frozen=True)
class _Comparison:
    """One night and one champion."""

    ws: Workspace
    declaration: Declaration
    champion: Version
    version: Version
    labels: Version | None
    score: Score

    def write(self, draft: Draft) -> Findings:
        verdict = self._verdict
        columns = {name: column.to_json() for name, column in self._columns.items()}
        draft.write_bytes(json.dumps(columns, indent=1, sort_keys=True).encode(), COLUMNS)
        html = self._night.html() if self._comparable else None
        path = html_path(self.ws, Version(draft.dataset, draft.partition, draft.version))
        if html is not None:
            with durable.storage(str(path)), durable.lock(path.parent / ".lock"):
                durable.sweep(path.parent)
                durable.replace(path, html, point="drift.html")
        return Findings(
            checks=self._checks(verdict),
            facts=self._facts(verdict) | {"html": str(path) if html is not None else None},
            notes=self._notes(verdict, columns),
        )

    @cached_property
    def _reference(self) -> Reference:
        return reference(self.ws, self.declaration, self.champion)

    @cached_property
    def _comparable(self) -> bool:
        """Columns released under another plan look different without any drift."""
        return bool(self.version.manifest.notes["plan_id"] == self._reference.plan_id)

    @cached_property
    def _current(self) -> Sample:
        labels = {self.version.partition: self.labels} if self.labels else {}
        return draw([self.version], self.declaration, seed=seed_of(self.version), labels=labels)

    @cached_property
    def _night(self) -> Night:
        return Night(
            declaration=self.declaration,
            reference=self._reference.sample,
            current=self._current,
            unseen=self._unseen(),
            score=lambda rows: self.score(self.champion, rows),
            seed=seed_of(self.version, self.champion),
        )

    def _unseen(self) -> pl.DataFrame:
        """Current rows that compare with held-out ones: the champion knows people (and rows of equal features) that it
        was trained on by other nights too, but blocks of rows only of its own nights."""
        known = self.declaration.evaluation.by != "blocks" or self.version.partition in self._reference.window
        return self._current.heldout if known else self._current.rows

    @cached_property
    def _columns(self) -> Mapping[str, ColumnVerdict]:
        return self._night.verdicts if self._comparable else {}

    @cached_property
    def _verdict(self) -> DayVerdict:
        if self._comparable:
            return self._night.day
        reason = "the anonymization plan has changed since the champion was trained: retrain to compare again"
        return DayVerdict(drifted=None, share=None, reason=reason)

    def _checks(self, verdict: DayVerdict) -> tuple[Check, ...]:
        """Failed checks warn: drift is news, and blocks nothing."""
        names = {name: feature_check(name) for name in self.declaration.features}
        names |= {PREDICTED: PREDICTION, self.declaration.target: TARGET}
        share: dict[str, Fact] = {"share": verdict.share, "threshold": self.declaration.drift.share}
        return (
            Check(name=OVERALL, passed=not verdict.drifted, blocking=False, facts=share, description=verdict.reason),
            *(_check(check, self._columns.get(name)) for name, check in names.items()),
        )

    def _facts(self, verdict: DayVerdict) -> dict[str, Fact]:
        drifted = [name for name, column in self._columns.items() if column.drifted]
        return {
            "drifted": verdict.drifted,
            "reason": verdict.reason,
            "drifted_columns": ", ".join(drifted),
            "drifted_share": verdict.share,
            "rows": self.version.manifest.rows,
            "champion": self.champion.id,
        }

    def _notes(self, verdict: DayVerdict, columns: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "drifted": verdict.drifted,
            "reason": verdict.reason,
            "champion": self.champion.id,
            "columns": columns,
            "rows": self.version.manifest.rows,
            "reference": {"nights": dict(self._reference.nights), "rows": self._reference.sample.rows.height},
        }


def _check(name: str, column: ColumnVerdict | None) -> Check:
    if column is None or not column.judged:
        said = "Not judged: too few people, or nothing to compare with."
        return Check(name=name, passed=True, blocking=False, facts={"value": None}, description=said)
    facts: dict[str, Fact] = dict(column.values.to_json())
    if column.missing is not None:
        facts |= {f"missing_{key}": column.missing.to_json()[key] for key in ("value", "noise", "drifted")}
    said = f"{column.values.method}: drift is above the threshold and above the noise of samples of this size."
    return Check(name=name, passed=not column.drifted, blocking=False, facts=facts, description=said)
