"""A bank small enough for tests of the layers, and a Dagster instance of its own."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from kedge.settings import Settings
from kedge.spec import Declaration, load
from kedge.testing.bank import Bank

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def places(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """This test's places, in the environment too, where assets and sensors look."""
    monkeypatch.setenv("KEDGE_HOME", str(settings.home))
    monkeypatch.setenv("KEDGE_KEYS", str(settings.keys))
    monkeypatch.setenv("KEDGE_DATA", str(settings.data))
    return settings


@pytest.fixture
def declaration() -> Declaration:
    return load(ROOT / "pipelines/bank/defs.yaml")


@pytest.fixture
def bank() -> Bank:
    return Bank(seed=3, rows=1_000, num_customers=4_000)


@pytest.fixture
def dagster() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
