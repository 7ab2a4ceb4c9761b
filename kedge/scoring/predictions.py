"""The asset `predictions`: every validated row of a night, scored by the champion."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from kedge import faults
from kedge.lake import ALL, ROW, Draft, Outcome, Version, produce, raw_ancestor
from kedge.outcome import FEWEST_PEOPLE, Fact, Findings
from kedge.registry.store import Registry
from kedge.scoring.night import RELEASED, SCORE, score_everybody, sources
from kedge.spec import Declaration
from kedge.workspace import Workspace

# Raised by hand whenever the same inputs would give other rows; a golden digest in the tests guards it.
CODE_VERSION = 1
_FIRST_ROWS = 1_000  # nearly always enough of them to know, without counting the people of a million rows

faults.register("scoring.predictions.after")


def predict(ws: Workspace, declaration: Declaration, partition: str) -> tuple[Outcome, Outcome] | None:
    """Score a night with the champion.

    Returns:
        outcomes for `predictions` (open zone: `_row`, `score` of the released rows) and `predictions_restricted` (the
        subject, `_row`, `score`, `released`: everybody validated); None before the first champion.

    Raises:
        Terminal: the night has no validated and anonymized versions of one delivery.
    """
    champion = Registry.open(ws, declaration.name).champion()
    if champion is None:
        return None
    model = ws.dataset(declaration.name, "model").version(ALL, champion.model)
    night = _Night(ws, declaration, model, *sources(ws, declaration, partition))
    released = night.store("predictions", night.write_open)
    faults.reach("scoring.predictions.after")
    return released, night.store("predictions_restricted", night.write_restricted)


@dataclass(frozen=True)
class _Night:
    """One night and the model that scores it."""

    ws: Workspace
    declaration: Declaration
    model: Version
    validated: Version
    anonymized: Version

    def store(self, name: str, write: Any) -> Outcome:
        return produce(
            self.ws.dataset(self.declaration.name, name),
            self.validated.partition,
            inputs={"model": self.model.id, "validated": self.validated.id, "anonymized": self.anonymized.id},
            declared=self.declaration.part(name),
            code=CODE_VERSION,
            write=write,
        )

    @cached_property
    def scored(self) -> pl.DataFrame:
        return score_everybody(self.ws, self.declaration, self.model, self.validated, self.anonymized)

    def write_open(self, draft: Draft) -> Findings:
        rows = self.scored.filter(RELEASED).select(ROW, SCORE)
        draft.write_frame(rows)
        return self._findings(rows)

    def write_restricted(self, draft: Draft) -> Findings:
        subject = [self.declaration.subject] if self.declaration.subject else []
        people = self.validated.scan().select(*subject, ROW)
        draft.write_frame(people.join(self.scored.lazy(), on=ROW, how="inner", maintain_order="left"))
        return self._findings(self.scored)

    def _findings(self, rows: pl.DataFrame) -> Findings:
        facts: dict[str, Fact] = {"rows": len(rows), "model": self.model.id}
        if any(self._people(part) >= FEWEST_PEOPLE for part in (rows.head(_FIRST_ROWS), rows)):
            facts["score_mean"] = float(rows[SCORE].to_numpy().mean())
        return Findings(facts=facts, notes={"raw": raw_ancestor(self.validated), "model": self.model.id})

    def _people(self, rows: pl.DataFrame) -> int:
        """How many different people the rows are of; without a subject every row counts as one."""
        subject = self.declaration.subject
        if subject is None:
            return len(rows)
        mine = self.validated.scan().join(rows.lazy().select(ROW), on=ROW, how="semi")
        return int(mine.select(pl.col(subject).drop_nulls().n_unique()).collect().item())
