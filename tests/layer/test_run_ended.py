"""`kedge run` that is killed, or told to end: what Dagster says of it afterwards, and that the night runs again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from kedge import leases
from kedge.leases import verdict
from kedge.settings import Settings
from kedge.testing.bank import Bank
from kedge.workspace import Workspace
from resources.instance import instance

KEDGE = str(Path(sys.executable).parent / "kedge")
NIGHT, NEXT = "2026-01-31", "2026-02-01"


def _command(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [KEDGE, "run", "bank", *words],
        env=os.environ | {"COLUMNS": "400"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def dagster(places: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of these places, whose databases are made before a command meets them."""
    with instance(places) as made:
        made.get_runs()
        yield made


def _begun(dagster: dg.DagsterInstance, command: subprocess.Popen[str]) -> None:
    """Returns once Dagster executes the night."""
    deadline = time.monotonic() + 120
    while [run.status for run in dagster.get_runs()] != [dg.DagsterRunStatus.STARTED]:
        if time.monotonic() > deadline or command.poll() is not None:
            command.kill()
            raise AssertionError(f"the night was not begun: {command.communicate()[0]}")
        time.sleep(0.02)


def test_a_killed_command_is_found_dead_by_the_next_which_runs_its_night(
    places: Settings, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    bank.write(bank.night(1), places.data / "inbox")
    killed = _command("--partition", NIGHT, KEDGE_FAULT="lake.swap.before:kill")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    [dead] = dagster.get_runs()
    assert dead.status is dg.DagsterRunStatus.STARTED
    again = _command("--partition", NIGHT)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    assert f"Found dead: run {dead.run_id} of bank_nightly: {verdict.ENDED}" in said
    statuses = {run.run_id: run.status for run in dagster.get_runs()}
    assert statuses.pop(dead.run_id) is dg.DagsterRunStatus.FAILURE
    assert set(statuses.values()) == {dg.DagsterRunStatus.SUCCESS}
    assert Workspace.open(places).dataset("bank", "anonymized").current(NIGHT) is not None
    assert leases.names(places.leases) == []


@pytest.mark.parametrize(("told", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_command_that_is_told_to_end_says_so_and_begins_no_other_night(
    places: Settings, bank: Bank, dagster: dg.DagsterInstance, told: signal.Signals, code: int
) -> None:
    for number in (1, 2):
        bank.write(bank.night(number), places.data / "inbox")
    command = _command("--partition", NIGHT, "--until", NEXT)
    _begun(dagster, command)
    command.send_signal(told)
    said = command.communicate(timeout=60)[0]
    assert command.returncode == code, said
    assert f"ended by {told.name}" in said
    [run] = dagster.get_runs()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert run.tags["dagster/partition"] == NIGHT
    assert run.tags["dagster/max_runtime"] == "14400"
    assert leases.names(places.leases) == []
