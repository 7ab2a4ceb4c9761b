"""One run per cause, whatever happens to the daemon: its own tick, in processes that are really killed.

The code location is the real one, and so is the launcher, whose run host is told to begin no run: what counts here is
which runs there are. The points at which the daemon is killed are Dagster's own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from kedge.leases import hold
from kedge.settings import Settings
from kedge.testing.bank import Bank
from resources.instance import instance
from resources.launcher import end_host

ROOT = Path(__file__).parent.parent.parent
CONFIG = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
run_launcher:
  module: resources.launcher
  class: WarmRunLauncher
  config: {max_concurrent_runs: 0, preload: [json]}
"""
DAEMON = """
import logging, signal, sys, time
from dagster._core.storage.tags import SENSOR_NAME_TAG
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration
from kedge.settings import Settings
from resources.instance import instance

flags = {"bank_arrivals": {sys.argv[1]: signal.SIGKILL}} if len(sys.argv) > 1 else None
with instance(Settings.from_environment()) as made:
    target = ModuleTarget("pipelines.definitions", "defs", None, "pipelines.definitions")
    with create_test_daemon_workspace_context(target, made) as workspace:
        before = time.time()
        while True:
            list(execute_sensor_iteration(workspace, logging.getLogger("daemon"), None, None, None, flags))
            states = {state.instigator_name: state.instigator_data for state in made.all_instigator_state()}
            if (states["bank_arrivals"].last_tick_success_timestamp or 0) > before:
                break
            time.sleep(0.2)
"""
NIGHT = "2026-01-31"


def _daemon(*killed_at: str) -> subprocess.Popen[bytes]:
    """A daemon that ends once the arrivals have been looked at, or is killed when it is."""
    return subprocess.Popen([sys.executable, "-c", DAEMON, *killed_at], cwd=ROOT)


@pytest.fixture
def dagster(places: Settings, bank: Bank) -> Iterator[dg.DagsterInstance]:
    places.dagster.mkdir(parents=True)
    (places.dagster / "dagster.yaml").write_text(CONFIG)
    bank.write(bank.night(1), places.data / "inbox")
    with instance(places) as made:
        yield made
        end_host(made)


@pytest.mark.faults
def test_a_daemon_killed_again_and_again_in_its_tick_asks_for_one_run_in_the_end(dagster: dg.DagsterInstance) -> None:
    runs = []
    for point, asked in {"RUN_IDS_RESERVED": 0, "RUN_CREATED": 1, "RUN_LAUNCHED": 1}.items():
        assert _daemon(point).wait() == -signal.SIGKILL
        runs = [run.run_id for run in dagster.get_runs()]
        assert len(runs) == asked
    assert _daemon().wait() == 0
    [run] = dagster.get_runs()
    assert [run.run_id] == runs
    assert run.status is dg.DagsterRunStatus.STARTING
    assert run.tags["dagster/partition"] == NIGHT
    assert run.tags["dagster/max_runtime"] == "14400", "a run of a sensor carries its job's limit"


def test_a_second_daemon_for_the_same_home_is_refused(places: Settings) -> None:
    with hold(places.leases, "daemon"):
        kedge = str(Path(sys.executable).parent / "kedge")
        environment = os.environ | {"COLUMNS": "400", "KEDGE_PIPELINES": str(ROOT / "pipelines")}
        second = subprocess.run([kedge, "up"], env=environment, capture_output=True, text=True, check=False)
    assert second.returncode == 2
    assert "at most one daemon" in second.stderr
    assert "kedge up" in second.stderr
