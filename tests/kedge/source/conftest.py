"""A small declaration and a folder to deliver into."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

COLUMNS: dict[str, Any] = {
    "id": {"type": "string", "role": "subject", "privacy": "token"},
    "age": {"type": "integer"},
    "city": {"type": "category"},
    "left": {"type": "bool", "role": "target"},
}


class Declare(Protocol):
    def __call__(self, **source: Any) -> Declaration: ...


@pytest.fixture
def declare() -> Declare:
    """A declaration with another source."""

    def build(**source: Any) -> Declaration:
        attributes = {"partitions": {"start": "2026-01-01"}, "source": {"files": "inbox/{date}.csv"} | source}
        return Declaration.named("shop", attributes | {"columns": COLUMNS})

    return build


@pytest.fixture
def inbox(settings: Settings) -> Path:
    folder = settings.data / "inbox"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings)


@pytest.fixture
def by_column(settings: Settings) -> Callable[..., Declaration]:
    """A declaration of files whose rows tell their day by the column `seen`."""
    settings.data.mkdir()

    def build(kind: str = "date", files: str = "all.csv", timezone: str = "UTC", **more: Any) -> Declaration:
        attributes = {
            "partitions": {"start": "2026-01-01", "timezone": timezone},
            "source": {"files": files, "date_column": "seen"},
            "columns": {
                "id": {"type": "string", "role": "subject", "privacy": "token"},
                "seen": {"type": kind},
                "left": {"type": "bool", "role": "target"},
            },
        }
        return Declaration.named("shop", attributes | more)

    return build
