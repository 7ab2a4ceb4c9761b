"""No personal value is left by a crash: every asset killed in the middle, or failing with a message that quotes one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kedge.spec import load
from kedge.testing.planted import Planted, plant, search

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("planted_nights.py")
ROWS, BROKEN = 1_500, 40
NIGHTS = ("2026-01-01", "2026-01-02", "2026-01-03")
WRITTEN = "lake.manifest.before:kill"
"""The data files of the first dataset that is not there yet are written, its manifest is not."""
pytestmark = pytest.mark.faults
Ask = Callable[..., dict[str, Any]]


def _declare(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The bank's declaration with changes, below `tmp_path / "pipelines"`."""
    text = (ROOT / "pipelines/bank/defs.yaml").read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    defs = tmp_path / "pipelines" / "bank" / "defs.yaml"
    defs.parent.mkdir(parents=True)
    defs.write_text(text)
    return defs


@pytest.fixture
def planted(tmp_path: Path) -> list[Planted]:
    """Deliveries in the inbox, every value of which occurs nowhere else.

    The margin lets every first model that learned something into production: on 600 held-out rows it is not to hang
    on the lot of who they are.
    """
    declaration = load(_declare(tmp_path, ("margin: 0.005", "margin: 0.2"), ('"<= 0.10"', '"<= 0.30"')))
    found = [plant(declaration, ROWS, broken=BROKEN, seed=number) for number in range(len(NIGHTS))]
    for night, delivery in zip(NIGHTS, found, strict=True):
        delivery.write(tmp_path / "bank" / "data" / "inbox" / f"{night}.csv", declaration)
    return found


@pytest.fixture
def ask(tmp_path: Path, planted: list[Planted]) -> Iterator[Ask]:
    with _asking(tmp_path / "bank", tmp_path / "pipelines", planted[0].values["email"][0]) as asking:
        yield asking


@contextmanager
def _asking(folder: Path, pipelines: Path, value: str) -> Iterator[Ask]:
    """Run a job of Dagster's in a process of its own; what is told to fail quotes the value."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KEDGE_PIPELINES": str(pipelines)}
    environment |= {"DO_NOT_TRACK": "1"}
    with subprocess.Popen([sys.executable, str(SCRIPT)], stdin=-1, stdout=-1, text=True, env=environment) as host:
        assert host.stdin
        assert host.stdout
        streams = host.stdin, host.stdout
        assert json.loads(streams[1].readline()) == {"ready": True}

        def job(do: str, night: str, **how: str) -> dict[str, Any]:
            told = {"do": do, "night": night, "folder": str(folder), "log": str(folder / "printed"), "value": value}
            streams[0].write(json.dumps(told | how) + "\n")
            streams[0].flush()
            answer: dict[str, Any] = json.loads(streams[1].readline())
            return answer

        yield job
        host.communicate("")


def _disturb(ask: Ask, do: str, night: str, dataset: str) -> None:
    """The first dataset of the job that is not there yet fails with a message that quotes a value, then is killed."""
    failed = ask(do, night, raising=f"kedge.lake.draft:Draft:write_keys:{dataset}")
    assert failed == {"code": 0, "killed": False, "succeeded": False}
    assert ask(do, night, fault=WRITTEN)["killed"]


def test_no_crash_and_no_failure_in_any_asset_leaves_a_value(ask: Ask, planted: list[Planted], tmp_path: Path) -> None:
    first, second, third = NIGHTS
    for dataset in ("raw", "quarantine", "validated", "anonymized"):
        _disturb(ask, "nightly", first, dataset)
        last = ("nightly", first, f"{WRITTEN}@2")
        assert dataset == "anonymized" or ask(last[0], last[1], fault=last[2])["killed"]
    assert ask("nightly", first)["succeeded"]
    assert ask("nightly", second)["succeeded"]
    _disturb(ask, "retrain", second, "training_set")
    assert not ask("retrain", second, fault="training.worker.fitted:kill")["succeeded"]
    _disturb(ask, "retrain", second, "model")
    assert ask("retrain", second, fault=f"{WRITTEN}@2")["killed"]  # after the model: in the evaluation
    _disturb(ask, "retrain", second, "evaluation")
    failed = ask("retrain", second, raising="kedge.registry.store:Registry:decide:champion")
    assert not failed["succeeded"]
    assert ask("retrain", second, fault="registry.decide.written:kill")["killed"]
    assert ask("retrain", second)["succeeded"]
    assert ask("nightly", third, fault=f"{WRITTEN}@5")["killed"]  # in the predictions, after the four of a night
    for dataset in ("predictions", "predictions_restricted", "drift_report"):
        _disturb(ask, "nightly", third, dataset)
        assert dataset == "drift_report" or ask("nightly", third, fault=f"{WRITTEN}@2")["killed"]
    assert ask("nightly", third)["succeeded"]
    _check_nothing_left(tmp_path / "bank", planted)


@pytest.fixture
def late(tmp_path: Path) -> Planted:
    """A bank whose outcomes come in a file of their own; some contradict each other, some cannot be read."""
    defs = _declare(
        tmp_path,
        ("{type: bool, role: target}", "{type: bool, role: target, from: labels}"),
        ('{date}.csv"}\n', '{date}.csv"}\n  labels: {files: "labels/{date}.csv", on: [customer_id]}\n'),
    )
    delivery, data = plant(load(defs), ROWS, broken=BROKEN, seed=11), tmp_path / "bank" / "data"
    outcomes = delivery.frame.select("customer_id", "left")
    contradicting = outcomes[BROKEN : 2 * BROKEN].with_columns(
        pl.col("left").replace_strict({"true": "false", "false": "true"})
    )
    for folder, frame in (
        ("inbox", delivery.frame.drop("left")),
        ("labels", pl.concat([outcomes, contradicting])),
    ):
        (data / folder).mkdir(parents=True)
        frame.write_csv(data / folder / f"{NIGHTS[0]}.csv")
    return delivery


def test_no_crash_and_no_failure_in_the_labels_leaves_a_value(tmp_path: Path, late: Planted) -> None:
    (night, *_), value = NIGHTS, late.values["customer_id"][2 * BROKEN]
    with _asking(tmp_path / "bank", tmp_path / "pipelines", value) as ask:
        assert ask("nightly", night)["succeeded"]
        for dataset, step in (("labels_raw", None), ("labels_quarantine", "set_aside"), ("labels", "accept")):
            if step:
                assert not ask("labels", night, raising=f"kedge.labels.label:_Joining:{step}:labels")["succeeded"]
            _disturb(ask, "labels", night, dataset)
            assert dataset == "labels" or ask("labels", night, fault=f"{WRITTEN}@2")["killed"]
        assert ask("labels", night)["succeeded"]
        _disturb(ask, "retrain", night, "training_set")
    stored = [*(tmp_path / "bank" / "home" / "lake").rglob("labels_quarantine/*/v*/manifest.json")]
    assert [json.loads(path.read_text())["rows"] for path in stored] == [3 * BROKEN]
    _check_nothing_left(tmp_path / "bank", [late], failures=6)


def _check_nothing_left(bank: Path, planted: list[Planted], *, failures: int = 8) -> None:
    printed = (bank / "printed").read_text()
    assert printed.count("its message is withheld") >= failures, "the failures must have been told"
    values = [value for night in planted for value in night.all_values]
    assert len(values) > 6 * ROWS
    assert search(values, bank / "home", bank / "keys", bank / "temporary", bank / "printed") == []
