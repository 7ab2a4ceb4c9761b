"""The demo's tale: what happened, read from the lake and the registry, and how good each champion really was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from kedge.settings import Settings
from kedge.spec import Declaration, load

if TYPE_CHECKING:
    from kedge.registry.decision import Decision
    from kedge.registry.store import Registry
    from kedge.testing.bank import Bank
    from kedge.workspace import Workspace


@dataclass(frozen=True)
class Tale:
    """Tells what the pipeline did, while it does it and at the end.

    Attributes:
        settings: the demo's places.
        pipeline: its name.
        console: where to tell it.
    """

    settings: Settings
    pipeline: str
    console: Console

    def chapter(self, title: str, text: str) -> None:
        self.console.rule(f"[bold]{title}", align="left")
        self.console.print(text)

    def line(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False)

    def night(self, date: str, seconds: float) -> None:
        """One line on a night that has ended."""
        told = self.facts(date)
        if told["blocked"]:
            self.line(f"[red]blocked[/] after {seconds:.1f} s: {self._reason(date)}")
            return
        drift = {True: "[yellow]drifted[/]", False: "quiet", None: "not judged"}[told["drifted"]]
        self.line(f"{told['rows']} rows, {told['quarantined']} to quarantine, {drift}; {seconds:.1f} s")

    def decision(self) -> None:
        """One line on the last decision of the registry."""
        last = self._registry.history()[-1]
        colour = "green" if last.promoted else "red"
        self.line(f"[{colour}]{last.action}[/] {last.model}: {last.reason}")

    def end(self, bank: "Bank", seconds: float, report: Path | None) -> None:
        """Print the table, write the report and say where to look next."""
        from kedge.testing.bank import STORY

        nights = [self._measured(bank, scene.night) for scene in STORY]
        told = {
            "seconds": round(seconds, 1),
            "nights": nights,
            "retrains": [_retraining(past) for past in self._registry.history()],
        }
        self.console.print(_table(nights))
        self.console.print(f"{seconds:.0f} s. Look around: kedge up --demo", highlight=False)
        if report is not None:
            report.write_text(json.dumps(told, indent=2) + "\n")

    def facts(self, date: str) -> dict[str, Any]:
        """Rows of a night, how many were quarantined, whether it was blocked, whether it drifted."""
        raw, quarantine = self._current("raw", date), self._current("quarantine", date)
        drift = self._current("drift_report", date)
        return {
            "date": date,
            "rows": raw.manifest.rows if raw else 0,
            "quarantined": quarantine.manifest.rows if quarantine else 0,
            "blocked": self._current("validated", date) is None or self._current("anonymized", date) is None,
            "drifted": drift.manifest.notes["drifted"] if drift else None,
        }

    def _measured(self, bank: "Bank", number: int) -> dict[str, Any]:
        """A night's facts and the AUC of its champion and of the first one, against what the simulator knows."""
        night = bank.night(number)
        told = self.facts(night.date.isoformat())
        scored = self._current("predictions_restricted", told["date"])
        if scored is None:
            return told | {"champion": None, "auc_champion": None, "auc_first_champion": None}
        champion, first = scored.manifest.notes["model"], self._registry.reigns()[0].model
        aucs = {model: self._auc(model, told["date"], night.truth.to_numpy()) for model in {champion, first}}
        return told | {"champion": champion, "auc_champion": aucs[champion], "auc_first_champion": aucs[first]}

    def _auc(self, model: str, date: str, truth: Any) -> float:
        from kedge.evaluation.metrics import auc
        from kedge.scoring.night import score_night

        scored = score_night(self._workspace, self._declaration, date, model)
        return round(float(auc(truth[scored["_row"].to_numpy()], scored["score"].to_numpy())), 4)

    def _current(self, dataset: str, date: str) -> Any:
        return self._workspace.dataset(self.pipeline, dataset).current(date)

    def _reason(self, date: str) -> str:
        attempts = self._workspace.dataset(self.pipeline, "validated").attempts(date)
        return next((str(past.manifest.reason) for past in reversed(attempts) if not past.manifest.released), "")

    @cached_property
    def _declaration(self) -> Declaration:
        return load(self.settings.pipelines / self.pipeline / "defs.yaml")

    @cached_property
    def _workspace(self) -> "Workspace":
        from kedge.workspace import Workspace

        return Workspace.open(self.settings)

    @property
    def _registry(self) -> "Registry":
        from kedge.registry.store import Registry

        return Registry.open(self._workspace, self.pipeline)


def _retraining(past: "Decision") -> dict[str, Any]:
    return {"trigger": past.trigger, "cause": past.cause, "promoted": past.promoted, "reason": past.reason}


def _table(nights: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title="Twelve nights")
    for column in ("night", "rows", "quarantined", "verdict", "champion", "AUC", "AUC of the first champion"):
        table.add_column(column)
    for night in nights:
        verdict = "blocked" if night["blocked"] else {True: "drifted", False: "quiet", None: ""}[night["drifted"]]
        aucs = ["" if night[key] is None else f"{night[key]:.3f}" for key in ("auc_champion", "auc_first_champion")]
        counts = (night["date"], str(night["rows"]), str(night["quarantined"]))
        table.add_row(*counts, verdict, (night["champion"] or "")[:9], *aucs)
    return table
