"""MLflow mirrors what kedge decided; nothing is pickled and nothing stays open."""

import json
import time
from pathlib import Path

import pytest

from kedge.registry.decision import Decision
from kedge.registry.layout import LOADER
from kedge.registry.store import Registry
from kedge.registry.tracking import Tracking

FILES = {"model.safetensors": b"weights", "model.json": b"{}"}


@pytest.fixture
def tracking(tmp_path: Path) -> Tracking:
    return Tracking(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}", tmp_path / "mlflow" / "artifacts")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry", lambda: bytes(32))


def train(tracking: Tracking, model: str) -> str:
    with tracking.run("bank", model, {"cause": "no champion"}) as run:
        run.params({"layers": 2})
        run.history([(epoch, {"loss": 1 / (epoch + 1), "rows_per_second": 1e5}) for epoch in range(3)])
        run.register(FILES)
    return run.id


def decide(registry: Registry, model: str, action: str = "promote") -> None:
    registry.decide(
        Decision(
            action=action,  # type: ignore[arg-type]
            reason=f"because of {model}",
            model=model,
            evaluation=f"evaluation of {model}",
            trigger="sensor",
            cause="no champion",
            at="2026-01-30",
            nights=("2026-01-30",),
            decided_at="2026-01-31T00:00:00+00:00",
        ),
        registry.champion(),
    )


def test_a_run_holds_settings_epochs_and_files_and_is_closed(tracking: Tracking, tmp_path: Path) -> None:
    run = tracking.client.get_run(train(tracking, "v1"))
    assert run.info.status == "FINISHED"
    assert run.data.params == {"layers": "2"}
    assert run.data.tags["cause"] == "no champion"
    assert [m.value for m in tracking.client.get_metric_history(run.info.run_id, "loss")] == [1, 1 / 2, 1 / 3]
    stored = {file.name: file.read_bytes() for file in (tmp_path / "mlflow").rglob("data/*")}
    assert stored == FILES
    settings = next((tmp_path / "mlflow").rglob("MLmodel")).read_text()
    assert LOADER in settings
    assert not [file for file in (tmp_path / "mlflow").rglob("*") if file.suffix in (".pkl", ".pickle", ".pt")]


def test_a_training_that_fails_leaves_a_failed_run(tracking: Tracking) -> None:
    with pytest.raises(ZeroDivisionError), tracking.run("bank", "v1") as run:
        1 / 0  # noqa: B018
    assert tracking.client.get_run(run.id).info.status == "FAILED"


def test_a_run_that_a_killed_process_left_open_is_closed_by_the_next(tracking: Tracking) -> None:
    left = tracking.client.create_run(tracking.experiment("bank"), tags={"kedge_version": "v1"}).info.run_id
    other = tracking.client.create_run(tracking.experiment("bank"), tags={"kedge_version": "v2"}).info.run_id
    train(tracking, "v1")
    assert tracking.client.get_run(left).info.status == "KILLED"
    assert tracking.client.get_run(other).info.status == "RUNNING"


def test_the_newest_model_is_challenger_until_it_is_decided(tracking: Tracking, registry: Registry) -> None:
    train(tracking, "v1")
    assert tracking.registered("bank") == {"v1": 1}
    assert tracking.aliases("bank") == {"challenger": 1}
    decide(registry, "v1")
    assert tracking.mirror("bank", registry) == {"champion": 1, "challenger": None}
    train(tracking, "v2")
    assert tracking.aliases("bank") == {"champion": 1, "challenger": 2}
    decide(registry, "v2", "refuse")
    assert tracking.mirror("bank", registry) == {}
    train(tracking, "v3")
    decide(registry, "v3")
    assert tracking.mirror("bank", registry) == {"champion": 3, "previous": 1, "challenger": None}
    assert tracking.aliases("bank") == {"champion": 3, "previous": 1}
    assert tracking.client.get_model_version("bank", "2").tags["verdict"] == "refuse"
    assert tracking.client.get_model_version("bank", "3").tags["reason"] == "because of v3"


def test_aliases_that_a_killed_process_or_a_person_left_wrong_are_repaired(
    tracking: Tracking, registry: Registry
) -> None:
    for model in ("v1", "v2"):
        train(tracking, model)
        decide(registry, model)  # killed before the mirror
    tracking.client.set_registered_model_alias("bank", "champion", "1")
    tracking.mirror("bank", registry)
    assert tracking.aliases("bank") == {"champion": 2, "previous": 1}
    assert tracking.mirror("bank", registry) == {}


def test_a_champion_that_mlflow_lost_gets_no_alias_rather_than_a_wrong_one(
    tracking: Tracking, registry: Registry
) -> None:
    train(tracking, "v1")
    tracking.client.set_registered_model_alias("bank", "champion", "1")
    decide(registry, "lost")
    tracking.mirror("bank", registry)
    assert tracking.aliases("bank") == {"challenger": 1}


def test_a_pipeline_without_models_has_nothing_to_mirror(tracking: Tracking, registry: Registry) -> None:
    assert tracking.mirror("bank", registry) == {}


def test_registering_twice_keeps_the_number(tracking: Tracking) -> None:
    train(tracking, "v1")
    train(tracking, "v1")
    assert tracking.registered("bank") == {"v1": 1}


def test_registering_takes_less_than_a_second(tracking: Tracking) -> None:
    train(tracking, "v1")
    with tracking.run("bank", "v2") as run:
        start = time.process_time()
        run.register({"model.safetensors": bytes(2_000_000), "model.json": json.dumps({}).encode()})
        assert time.process_time() - start < 1


def test_two_pipelines_do_not_see_each_other(tracking: Tracking) -> None:
    train(tracking, "v1")
    with tracking.run("loans", "v1") as run:
        run.register(FILES)
    assert tracking.registered("bank") == tracking.registered("loans") == {"v1": 1}
    assert tracking.experiment("bank") != tracking.experiment("loans")
    assert run.page == f"#/experiments/{tracking.experiment('loans')}/runs/{run.id}"
