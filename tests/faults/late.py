"""A second pipeline in the same workspace: its outcomes arrive a night later, some of them contradict each other."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from kedge.spec import Declaration
from kedge.workspace import Workspace

ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "late/{date}.csv"},
    "labels": {"files": "labels/{date}.csv", "on": ["customer"], "after": "archive"},
    "columns": {
        "customer": {"type": "string", "role": "subject", "privacy": "token"},
        "balance": {"type": "float"},
        "left": {"type": "bool", "role": "target", "from": "labels"},
    },
    "quarantine_at_most": "20%",
}
ROWS, FIRST = 200, date(2026, 1, 1)
NIGHTS = 2  # labels of the last one are disturbed, those before are there
QUARANTINED, STRAYS = 7, 3
"""Rows of a labels file that break the contract or contradict another one, and that belong to nobody."""


def declaration() -> Declaration:
    return Declaration.named("late", ATTRIBUTES)


def night(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


def prepare(ws: Workspace) -> None:
    """All nights, and all labels but the last, which are delivered."""
    from kedge.quality.validate import validate
    from kedge.source.take import take

    for number in range(NIGHTS):
        _deliver(ws.settings.data, number)
        take(ws, declaration(), night(number))
        assert validate(ws, declaration(), night(number)).validated.released
        if number + 1 < NIGHTS:
            label(ws, number)


def label(ws: Workspace, number: int = NIGHTS - 1) -> None:
    """The stage `labels`, which leaves three datasets."""
    from kedge.labels.label import label as join

    found = join(ws, declaration(), night(number))
    assert found.labels.released, found.labels.reason
    assert found.quarantine is not None
    assert found.quarantine.version.manifest.rows == QUARANTINED
    assert found.labels.facts["unmatched"] == STRAYS


def _deliver(data: Path, number: int) -> None:
    customers = [f"L{number}-{person}" for person in range(ROWS)]
    rows = [f"{customer},{person % 17}.5" for person, customer in enumerate(customers)]
    _write(data / "late" / f"{night(number)}.csv", "customer,balance", rows)
    outcomes = [f"{customer},{str(person % 3 == 0).lower()}" for person, customer in enumerate(customers[5:])]
    outcomes += [f"{customer},perhaps" for customer in customers[:3]]
    outcomes += [f"{customer},{outcome}" for customer in customers[3:5] for outcome in ("true", "false")]
    outcomes += [f"nobody{person},true" for person in range(STRAYS)]
    _write(data / "labels" / f"{night(number)}.csv", "customer,left", outcomes)


def _write(path: Path, header: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
