"""A small bank in a lake: released nights and hand-made models, for stages that stand on others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.lake import ALL, Draft, Version, produce
from kedge.outcome import Findings
from kedge.privacy.anonymize import anonymize
from kedge.privacy.plan import Plan
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "{date}.csv"},
    "columns": {
        "customer": {"type": "string", "role": "subject", "privacy": "token"},
        "born": {"type": "date", "privacy": {"bins": "10y"}, "quasi": True},
        "balance": {"type": "float"},
        "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
        "left": {"type": "bool", "role": "target"},
    },
    "privacy": {"k": 5, "mask_at_most": "50%", "drop_at_most": "10%"},
    "evaluation": {"slices": ["plan"]},
    "gates": {"auc": ">= 0.6", "worst_slice_auc": ">= 0.5", "calibration_error": "<= 0.2"},
}


def people(seed: int, rows: int, flex: float = 0.1) -> pl.DataFrame:
    """Rows of a night as validated: who leaves depends on the balance and, the other way round, on the plan flex.

    Three customers are born in 1901: too few for a class, so that they are dropped.
    """
    random = np.random.default_rng(seed)
    balance = random.normal(0, 1, rows).round(3)
    plan = np.where(random.random(rows) < flex, "flex", np.where(random.random(rows) < 0.5, "basic", "plus"))
    logit = np.where(plan == "flex", -2.5, 1.5) * balance - 1
    born = [date(1950 + int(year), 5, 17) for year in random.integers(0, 40, rows)]
    born[:3] = [date(1901, 5, 17)] * 3
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": [f"C{number}" for number in random.permutation(4 * rows)[:rows]],
            "born": born,
            "balance": balance,
            "plan": plan,
            "left": random.random(rows) < 1 / (1 + np.exp(-logit)),
        }
    )


@dataclass
class Bank:
    """A workspace with released nights.

    Attributes:
        models: hand-made models by version id: rows -> scores.
    """

    ws: Workspace
    declaration: Declaration
    models: dict[str, Callable[[pl.DataFrame], np.ndarray]] = field(default_factory=dict)

    def declare(self, columns: Mapping[str, Any] | None = None, **settings: Any) -> Declaration:
        """Change the declaration: these columns and settings, the others as they were at first."""
        everything = {**ATTRIBUTES, "columns": {**ATTRIBUTES["columns"], **(columns or {})}, **settings}
        self.declaration = Declaration.named("bank", everything)
        return self.declaration

    def night(
        self, number: int, rows: int = 500, frame: pl.DataFrame | None = None, delivery: int = 0, **how: Any
    ) -> str:
        """Store and release a night, or another delivery of it; its partition."""
        partition = (date(2026, 1, 1) + timedelta(days=number)).isoformat()
        validated, raw = people(number, rows, **how) if frame is None else frame, 1_000 * delivery + number

        def write(draft: Draft) -> Findings:
            draft.write_frame(validated)
            return Findings(notes={"raw": f"v{raw:032x}"})

        dataset = self.ws.dataset("bank", "validated")
        stored = produce(dataset, partition, inputs={"raw": str(raw)}, declared={}, code=1, write=write)
        assert stored.released
        released = anonymize(self.ws, self.declaration, partition)
        assert released.released, released.reason
        return partition

    def nights(self, first: int, last: int, rows: int = 500, **how: Any) -> list[str]:
        return [self.night(number, rows, **how) for number in range(first, last + 1)]

    def model(
        self,
        name: str,
        nights: list[str],
        score: Callable[[pl.DataFrame], np.ndarray] | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        episode: list[str] | None = None,
        cause: str = "no champion",
    ) -> Version:
        """Store a training set and a model with the notes that later stages read."""
        plan, anonymized = Plan.of(self.declaration), self.ws.dataset("bank", "anonymized")
        versions = {night: anonymized.current(night) for night in nights}
        notes = {
            "nights": {night: version.id for night, version in versions.items() if version},
            "first": nights[0],
            "last": nights[-1],
            "episode": episode or [],
            "cause": cause,
            "trigger": "sensor" if episode else "manual",
            "plan_id": plan.id,
        }
        chosen = self._store("training_set", name, notes, {})
        notes = {
            "training_set": chosen.id,
            "plan": plan.to_json(),
            "plan_id": plan.id,
            "last": nights[-1],
            "features": list(self.declaration.features),
        }
        model = self._store("model", name, notes, files or {})
        if score is not None:
            self.models[model.id] = score
        return model

    def score(self, version: Version, frame: pl.DataFrame) -> np.ndarray:
        """Stands for `kedge.scoring.scorer`."""
        return self.models[version.id](frame)

    def _store(self, dataset: str, name: str, notes: dict[str, Any], files: Mapping[str, bytes]) -> Version:
        def write(draft: Draft) -> Findings:
            for file, data in files.items():
                draft.write_bytes(data, file)
            return Findings(notes=notes)

        where = self.ws.dataset("bank", dataset)
        return produce(where, ALL, inputs={"name": name}, declared={}, code=1, write=write).version


@pytest.fixture
def small_bank(settings: Settings) -> Bank:
    """A bank without nights yet."""
    return Bank(Workspace.open(settings), Declaration.named("bank", ATTRIBUTES))
