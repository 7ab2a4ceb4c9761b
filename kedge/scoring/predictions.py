"""The asset `predictions`: every validated row of a night, scored by the champion."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from kedge.errors import Terminal
from kedge.lake import ALL, ROW, Draft, Outcome, Version, produce, raw_ancestor
from kedge.outcome import Fact, Findings
from kedge.registry.store import Registry
from kedge.scoring.everybody import Everybody
from kedge.scoring.scorer import load_model, plan_of
from kedge.spec import Declaration
from kedge.workspace import Workspace

# Raised by hand whenever the same inputs would give other rows; a golden digest in the tests guards it.
CODE_VERSION = 1
SCORE, RELEASED = "score", "released"
_MIN_PEOPLE = 11


def predict(ws: Workspace, declaration: Declaration, partition: str) -> tuple[Outcome, Outcome] | None:
    """Score a night with the champion.

    Returns:
        outcomes for `predictions` (open zone: `_row`, `score` of the released rows) and `predictions_restricted` (the
        subject, `_row`, `score`, `released`: everybody validated); None before the first champion.

    Raises:
        Terminal: the night has no validated and anonymized versions of one delivery.
    """
    champion = Registry.open(ws.registry_path(declaration.name)).champion()
    if champion is None:
        return None
    model = ws.dataset(declaration.name, "model").version(ALL, champion.model)
    night = _Night(ws, declaration, model, *_sources(ws, declaration, partition))
    return night.store("predictions", night.write_open), night.store("predictions_restricted", night.write_restricted)


def _sources(ws: Workspace, declaration: Declaration, partition: str) -> tuple[Version, Version]:
    validated, anonymized = (
        ws.dataset(declaration.name, name).current(partition) for name in ("validated", "anonymized")
    )
    if validated is not None and anonymized is not None and anonymized.manifest.inputs["validated"] == validated.id:
        return validated, anonymized
    raise Terminal(
        f"{declaration.name}/anonymized/{partition}",
        need="a version made of the night's current validated rows",
        got="none",
        remedy="Run the night's validated and anonymized first; if one was blocked, its checks say why.",
    )


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
        """`_row`, score and whether the row is released, of everybody, in the order of the delivery: 17 bytes a row."""
        model = load_model(self.ws, self.declaration, self.model)
        everybody = Everybody(
            self.validated, self.anonymized, plan_of(self.model), self.ws.secrets(self.declaration.name)
        )
        kept = pl.Schema({ROW: pl.UInt64, SCORE: pl.Float64, RELEASED: pl.Boolean})
        parts = [
            pl.DataFrame({ROW: rows[ROW], SCORE: model.score(rows), RELEASED: np.full(len(rows), released)}, kept)
            for rows, released in everybody.batches(model.features)
        ]
        return pl.concat([kept.to_frame(), *parts]).sort(ROW)

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
        if len(rows) >= _MIN_PEOPLE:
            facts["score_mean"] = float(rows[SCORE].to_numpy().mean())
        return Findings(facts=facts, notes={"raw": raw_ancestor(self.validated), "model": self.model.id})
