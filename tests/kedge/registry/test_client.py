"""MLflow that does not answer: a clear error that says when to try again, and nothing half registered."""

from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from kedge.errors import Terminal, Transient
from kedge.registry.client import CALLS
from kedge.registry.tracking import Tracking
from kedge.settings import Settings


@pytest.fixture
def tracking(settings: Settings) -> Tracking:
    return Tracking.open(settings)


@pytest.mark.parametrize(("kind", "said"), [("full", "No space left on device"), ("error", "fault injected")])
def test_a_store_whose_disk_fails_is_transient(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    monkeypatch.setenv("KEDGE_FAULT", f"registry.create_run.before:{kind}")
    with pytest.raises(Transient, match=said) as raised, tracking.run("bank", "v1"):
        pass
    assert raised.value.setting == "MLflow, create_run"
    assert raised.value.__context__ is None, "the message of a library may hold what was asked for"
    assert tracking.client.search_runs([tracking.experiment("bank")]) == []


def test_a_database_that_does_not_open_is_transient_and_tells_no_statement(tracking: Tracking) -> None:
    tracking.experiment("bank")
    database = Path(tracking.uri.removeprefix("sqlite:///"))
    database.unlink()
    database.mkdir()
    with pytest.raises(Transient, match="TEMPORARILY_UNAVAILABLE") as raised:
        tracking.experiment("shop")
    assert "SELECT" not in str(raised.value)


def test_what_mlflow_refuses_stays_an_error_of_mlflow(tracking: Tracking) -> None:
    with pytest.raises(MlflowException, match="not found"):
        tracking.client.get_run("0" * 32)


def test_an_unclosed_run_does_not_hide_why_it_failed(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDGE_FAULT", "registry.set_terminated.before:error")
    with pytest.raises(Terminal, match="diverged"), tracking.run("bank", "v1"):
        raise Terminal("training", need="a loss", got="none, it diverged", remedy="Look.")
    monkeypatch.delenv("KEDGE_FAULT")
    with tracking.run("bank", "v1"):
        pass
    found = tracking.client.search_runs([tracking.experiment("bank")])
    assert sorted(run.info.status for run in found) == ["FINISHED", "KILLED"]


def test_every_call_is_one_of_mlflows() -> None:
    from mlflow import MlflowClient

    assert [call for call in CALLS if not hasattr(MlflowClient, call)] == []
