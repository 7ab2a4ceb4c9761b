"""A small declaration and a folder to deliver into."""

from pathlib import Path
from typing import Any, Protocol

import pytest

from kedge.settings import Settings
from kedge.spec import Declaration

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
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data" / "inbox").mkdir(parents=True)
    places = {"KEDGE_HOME": "home", "KEDGE_KEYS": "keys", "KEDGE_DATA": "data"}
    return Settings.from_environment({name: str(tmp_path / folder) for name, folder in places.items()})


@pytest.fixture
def inbox(settings: Settings) -> Path:
    return settings.data / "inbox"
