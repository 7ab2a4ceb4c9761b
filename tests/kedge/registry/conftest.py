"""A pipeline small enough to read, and evaluations made by hand."""

from collections.abc import Callable

import pytest

from kedge.lake import ALL, Draft, Version, produce
from kedge.outcome import Findings
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

ATTRIBUTES = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "{date}.csv"},
    "columns": {
        "customer": {"type": "string", "role": "subject", "privacy": "token"},
        "balance": {"type": "float"},
        "left": {"type": "bool", "role": "target"},
    },
}


@pytest.fixture
def declaration() -> Declaration:
    return Declaration.named("bank", ATTRIBUTES)


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings)


@pytest.fixture
def evaluated(ws: Workspace) -> Callable[..., Version]:
    """Store an evaluation as the stage would: what promotion reads of it."""

    def store(challenger: str, champion: str | None, action: str = "promote") -> Version:
        notes = {
            "challenger": challenger,
            "champion": champion,
            "action": action,
            "reason": f"{action} because of a test",
            "trigger": "sensor",
            "cause": f"{champion}:2026-01-29:1",
            "last": "2026-01-30",
            "nights": ["2026-01-29", "2026-01-30"],
        }

        def write(draft: Draft) -> Findings:
            return Findings(notes=notes)

        inputs = {"challenger": challenger, "champion": champion or "none"}
        dataset = ws.dataset("bank", "evaluation")
        return produce(dataset, ALL, inputs=inputs, declared={}, code=1, write=write).version

    return store
