"""A small clinic whose outcomes arrive later."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kedge.labels.label import Labelled, label
from kedge.lake import Version
from kedge.quality.validate import validate
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.workspace import Workspace

NIGHT = "2026-01-01"
ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": NIGHT},
    "source": {"files": "inbox/{date}.csv"},
    "labels": {"files": "labels/{date}.csv", "on": ["patient", "visit"], "delay": "30d"},
    "columns": {
        "patient": {"type": "string", "role": "subject", "privacy": "token"},
        "visit": {"type": "integer", "feature": False},
        "age": {"type": "integer", "min": 0},
        "back": {"type": "bool", "role": "target", "from": "labels"},
        "nurse": {"type": "string", "from": "labels", "privacy": "drop", "nulls": "100%"},
    },
}


@dataclass
class Clinic:
    """A workspace, its inbox, and the stages up to the labels."""

    ws: Workspace
    declaration: Declaration

    def write(self, folder: str, header: str, rows: Sequence[str], night: str = NIGHT) -> Path:
        path = self.ws.settings.data / folder / f"{night}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def night(self, *rows: str) -> Version:
        """Deliver and validate; rows as `patient,visit,age`."""
        self.write("inbox", "patient,visit,age", rows)
        take(self.ws, self.declaration, NIGHT)
        outcome = validate(self.ws, self.declaration, NIGHT).validated
        assert outcome.released, outcome.reason
        return outcome.version

    def labels(self, *rows: str) -> Labelled:
        """Deliver and join; rows as `patient,visit,back,nurse`."""
        self.write("labels", "patient,visit,back,nurse", rows)
        return label(self.ws, self.declaration, NIGHT)

    def declare(self, **settings: Any) -> None:
        self.declaration = Declaration.named("clinic", {**ATTRIBUTES, **settings})

    def frame(self, name: str) -> pl.DataFrame:
        version = self.ws.dataset("clinic", name).current(NIGHT)
        assert version is not None
        return version.scan().collect()


@pytest.fixture
def clinic(settings: Settings) -> Clinic:
    return Clinic(Workspace.open(settings), Declaration.named("clinic", ATTRIBUTES))
