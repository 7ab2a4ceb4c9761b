import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.errors import Tampered, Terminal, Transient
from kedge.people import HELDOUT, load_rows
from kedge.registry.tracking import Tracking
from kedge.spec.canonical import digest
from kedge.training.config import Config
from kedge.training.device import choose
from kedge.training.fit import fit
from kedge.training.launch import launch_local
from kedge.training.model import SETTINGS, WEIGHTS, TabularModel
from kedge.training.order import OUT, Order
from kedge.training.train import CODE_VERSION, train
from kedge.training.training_set import assemble

ENCODER = "8b63400361671c59c00f28d27852c9b0b566ae78480fa7cb2a6c8f026cd73287"
LOSSES = [0.684, 0.551, 0.497]
Launch = Callable[[Order], None]


@pytest.fixture
def ready(bank: Callable[..., Any], customers: Callable[..., pl.DataFrame]) -> Any:
    """A bank with two nights and a training set."""
    found = bank()
    for day in range(2):
        found.night(day, customers(1000, seed=day))
    assemble(found.ws, found.declaration, cause="no champion", trigger="person")
    return found


def loaded(outcome: Any) -> TabularModel:
    return TabularModel.load({name: outcome.version.read_bytes(name) for name in outcome.version.manifest.files})


def test_torchrun_trains_a_model_that_is_tracked(ready: Any, settings: Any) -> None:
    """The whole way once: torchrun, the pipe, encrypted files, the lake, MLflow."""
    lines: list[str] = []
    tracking = Tracking.open(settings)
    outcome = train(
        ready.ws, ready.declaration, launch=lambda order: launch_local(order, lines.append), tracking=tracking
    )
    notes, chosen = outcome.notes, ready.ws.dataset("bank", "training_set").current("all")
    assert outcome.released
    assert set(outcome.version.manifest.files) == {WEIGHTS, SETTINGS}
    assert notes["training_set"] == chosen.id
    for name in ("plan", "plan_id", "first", "last", "nights", "subjects"):
        assert notes[name] == chosen.manifest.notes[name]
    assert notes["features"] == ["opened", "balance", "plan"]
    assert notes["token_version"] == 1
    assert notes["device"] == {"kind": "cpu", "name": "CPU", "precision": notes["device"]["precision"], "asked": "cpu"}
    assert outcome.facts["rows_train"] + outcome.facts["rows_validation"] == chosen.manifest.facts["rows_train"]
    held = load_rows(ready.ws, ready.declaration, notes["nights"], {HELDOUT})
    scores, left = loaded(outcome).score(held), held["left"].to_numpy()
    assert scores[left].mean() > scores[~left].mean() + 0.1
    assert tracking.registered("bank") == {outcome.version.id: 1}
    assert tracking.client.get_model_version("bank", "1").run_id == notes["mlflow"]["run"]
    assert tracking.aliases("bank") == {"challenger": 1}
    confined, *said = [line.strip() for line in lines]
    assert confined == f"the training process is confined: {notes['confined']}"
    assert said[0].startswith("training on CPU")
    assert len([line for line in said if " epoch " in line]) == len(notes["losses"])
    assert len(said) == len(notes["losses"]) + 2, "torchrun prints nothing of its own"


def test_a_rerun_trains_nothing_and_another_seed_does(
    ready: Any, bank: Callable[..., Any], launch_here: Launch
) -> None:
    first = train(ready.ws, ready.declaration, launch=launch_here)
    again = train(ready.ws, ready.declaration, launch=_fail)
    assert (again.version.id, again.written, again.notes) == (first.version.id, False, first.notes)
    other = bank(training={"window": "5d", "device": "cpu", "seed": 1})
    second = train(other.ws, other.declaration, launch=launch_here)
    assert second.version.id != first.version.id
    assert second.version.manifest.content_digest != first.version.manifest.content_digest


def test_an_undisturbed_run_gives_the_same_bytes(ready: Any, launch_here: Launch) -> None:
    def killed(order: Order) -> None:
        launch_here(order)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(ready.ws, ready.declaration, launch=killed)
    digests = set()
    for _ in range(2):
        outcome = train(ready.ws, ready.declaration, launch=launch_here)
        digests.add((outcome.version.id, outcome.version.manifest.content_digest))
        _forget(ready)
    assert len(digests) == 1


def _forget(ready: Any) -> None:
    """Damage the model, so that the next run makes it anew."""
    version = ready.ws.dataset("bank", "model").current("all")
    (version.path / WEIGHTS).write_bytes(b"")


@pytest.fixture
def tracking(settings: Any) -> Tracking:
    return Tracking.open(settings)


def test_a_model_that_did_not_get_into_the_lake_is_not_registered(
    ready: Any, launch_here: Launch, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDGE_FAULT", "lake.swap.before:error")
    with pytest.raises(Transient):
        train(ready.ws, ready.declaration, launch=launch_here, tracking=tracking)
    assert tracking.registered("bank") == tracking.aliases("bank") == {}


def test_a_rerun_registers_what_a_killed_run_did_not(
    ready: Any, launch_here: Launch, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDGE_FAULT", "training.register.before:error")
    with pytest.raises(OSError, match=r"training\.register\.before"):
        train(ready.ws, ready.declaration, launch=launch_here, tracking=tracking)
    monkeypatch.delenv("KEDGE_FAULT")
    assert tracking.registered("bank") == {}
    for _ in range(2):
        outcome = train(ready.ws, ready.declaration, launch=_fail, tracking=tracking)
        assert not outcome.written
        assert tracking.registered("bank") == {outcome.version.id: 1}
        assert tracking.aliases("bank") == {"challenger": 1}
    assert tracking.client.get_model_version("bank", "1").run_id == outcome.notes["mlflow"]["run"]


def test_a_training_that_mlflow_does_not_know_is_shown_by_the_next_run(
    ready: Any, launch_here: Launch, tracking: Tracking
) -> None:
    outcome = train(ready.ws, ready.declaration, launch=launch_here)
    train(ready.ws, ready.declaration, launch=_fail, tracking=tracking)
    assert tracking.registered("bank") == {outcome.version.id: 1}
    run = tracking.client.get_run(tracking.client.get_model_version("bank", "1").run_id)
    assert (run.info.status, run.data.tags["cause"]) == ("FINISHED", "no champion")
    assert run.data.params["seed"] == "0"
    assert {name.partition("_")[2] for name in run.data.metrics} >= {"train_loss"}


def _fail(order: Order) -> None:
    raise AssertionError("nothing was to be trained")


def test_held_out_rows_do_not_train(ready: Any, bank: Callable[..., Any], customers: Any, launch_here: Launch) -> None:
    """Other values in the held-out rows give the same model, bit for bit."""
    first = train(ready.ws, ready.declaration, launch=launch_here)
    nights = ready.ws.dataset("bank", "training_set").current("all").manifest.notes["nights"]
    held = load_rows(ready.ws, ready.declaration, nights, {HELDOUT})["customer"].unique()
    spoiled = pl.when(pl.col("customer").is_in(held.implode())).then(pl.lit(0.0)).otherwise("balance")
    for day in range(2):
        _forget_night(ready, day)
        ready.night(day, customers(1000, seed=day).with_columns(balance=spoiled))
    _forget(ready)
    second = train(ready.ws, ready.declaration, launch=launch_here)
    assert second.version.read_bytes(WEIGHTS) == first.version.read_bytes(WEIGHTS)


def _forget_night(ready: Any, day: int) -> None:
    version = ready.ws.dataset("bank", "anonymized").current(f"2026-01-{day + 1:02}")
    (version.path / "rows.parquet").write_bytes(b"")


def test_the_process_learns_no_place_and_leaves_no_trace(ready: Any, launch_here: Launch) -> None:
    seen: list[Order] = []

    def launch(order: Order) -> None:
        seen.append(order)
        assert oct(order.folder.stat().st_mode)[-3:] == "700"
        launch_here(order)

    train(ready.ws, ready.declaration, launch=launch)
    (order,) = seen
    assert str(ready.ws.settings.home) not in json.dumps([order.command, dict(order.environment)])
    assert not order.folder.exists()


def test_the_error_of_the_process_is_raised(bank: Callable[..., Any], customers: Any, launch_here: Launch) -> None:
    found = bank(training={"window": "5d", "device": "cuda"})
    found.night(0, customers(300))
    assemble(found.ws, found.declaration, cause="no champion", trigger="person")
    with pytest.raises(Terminal, match=r"training.device: needs a CUDA device"):
        train(found.ws, found.declaration, launch=launch_here)
    assert found.ws.dataset("bank", "model").current("all") is None


def test_a_process_that_leaves_no_model_is_an_error(ready: Any, launch_here: Launch) -> None:
    with pytest.raises(Terminal, match=r"needs a model and its result; got no result\.json"):
        train(ready.ws, ready.declaration, launch=lambda order: None)

    def spoil(order: Order) -> None:
        launch_here(order)
        weights = Path(order.environment[OUT]) / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")

    with pytest.raises(Tampered):
        train(ready.ws, ready.declaration, launch=spoil)


def test_what_is_learned_changes_only_on_purpose(customers: Any, examples: Any) -> None:
    """Golden: whoever changes preprocessing or training raises CODE_VERSION, and then these figures.

    Losses within .002, since the last bits differ between CPUs and a pass lets them grow.
    """
    fitted = fit(examples(customers(1000)), Config(hidden=16), device=choose("cpu"))
    assert digest(fitted.model.encoder.to_json()) == ENCODER
    assert [epoch.train_loss for epoch in fitted.epochs][:3] == pytest.approx(LOSSES, abs=0.002)
    assert CODE_VERSION == 1


def test_without_a_training_set_nothing_trains(bank: Callable[..., Any]) -> None:
    found = bank()
    with pytest.raises(Terminal, match="bank/training_set: needs a current version"):
        train(found.ws, found.declaration, launch=_fail)


def test_blocks_train_without_a_subject(bank: Callable[..., Any], customers: Any, launch_here: Launch) -> None:
    columns = {
        "balance": {"type": "float", "nulls": "20%"},
        "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
        "left": {"type": "category", "values": ["stays", "gone"], "role": "target"},
    }
    found = bank(columns=columns)
    outcome = pl.when("left").then(pl.lit("gone")).otherwise(pl.lit("stays")).cast(pl.Enum(["stays", "gone"]))
    for day in range(2):
        found.night(day, customers(5000, seed=day).select("_row", "balance", "plan", left=outcome))
    assemble(found.ws, found.declaration, cause="no champion", trigger="person")
    trained = train(found.ws, found.declaration, launch=launch_here)
    rows = load_rows(found.ws, found.declaration, trained.notes["nights"], {HELDOUT})
    scores, gone = loaded(trained).score(rows), (rows["left"] == "gone").to_numpy()
    assert np.mean(scores[gone]) > np.mean(scores[~gone]) + 0.1
