"""Runs that die without a word, through a real run host: found, ended with the reason, and run again.

The job of these runs takes a delivery into a real lake. The heavy libraries are not needed for that and not loaded.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from kedge import leases
from kedge.leases import Instant, Watch, verdict
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.testing.bank import Bank
from kedge.workspace import Workspace
from pipelines.definitions import build
from resources import reaper
from resources.instance import instance
from resources.launcher import WarmRunLauncher
from resources.wire import ask
from sensors import alerts
from sensors.reaper import sensor

ROOT = Path(__file__).parent.parent.parent
NIGHT = "2026-01-31"
JOB_LIMITS = {"bank_nightly": str(4 * 3600), "bank_retrain": str(24 * 3600)}
CONFIG = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
run_launcher:
  module: resources.launcher
  class: WarmRunLauncher
  config: {max_concurrent_runs: 1, preload: [dagster, dagster._cli.api]}
"""
JOBS = f"""
import os, time
from pathlib import Path
import dagster as dg
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import load
from kedge.workspace import Workspace

FOLDER = Path(__file__).parent

@dg.op
def night(context):
    (FOLDER / f"{{context.run_id}}.pid").write_text(str(os.getpid()))
    while (FOLDER / "slow").exists():
        time.sleep(0.02)
    workspace = Workspace.open(Settings.from_environment(), run=context.run_id)
    take(workspace, load(Path({str(ROOT / "pipelines/bank/defs.yaml")!r})), context.run.tags["dagster/partition"])

@dg.job(executor_def=dg.in_process_executor)
def bank_nightly():
    night()
"""


class Bench:
    """An instance on disk whose launcher is the real one, and a night that waits while the file `slow` is there."""

    def __init__(self, folder: Path) -> None:
        self.jobs, self.slow = folder / "jobs.py", folder / "slow"
        self.jobs.write_text(JOBS)
        (folder / "dagster.yaml").write_text(CONFIG)
        self.instance = dg.DagsterInstance.from_config(str(folder))
        launcher = self.instance.run_launcher
        assert isinstance(launcher, WarmRunLauncher)
        self.launcher = launcher

    def create(self, **tags: str) -> str:
        """A run of the night that nobody has begun."""
        from dagster._core.definitions.reconstruct import ReconstructableJob

        job = ReconstructableJob.for_file(str(self.jobs), "bank_nightly")
        tags["dagster/partition"] = NIGHT
        return self.instance.create_run_for_job(
            job.get_definition(), job_code_origin=job.get_python_origin(), tags=tags
        ).run_id

    def launch(self, **tags: str) -> str:
        run_id = self.create(**tags)
        self.instance.launch_run(run_id, workspace=None)  # type: ignore[arg-type]
        return run_id

    def pid(self, run_id: str) -> int:
        path = self.jobs.with_name(f"{run_id}.pid")
        _until(lambda: path.exists() and path.read_text() != "")
        return int(path.read_text())

    def state(self, run_id: str) -> str:
        return str(ask(self.launcher.address, {"do": "state", "run_id": run_id})["state"])

    def host(self) -> int:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.launcher.address))
            return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        return self.run(run_id).status

    def failures(self, run_id: str) -> list[str]:
        """What Dagster's log says about the end of the run."""
        logged = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        return [str(entry.get_dagster_event().message) for entry in logged]

    def evaluate(self, cursor: str | None = None) -> tuple[str, str | None]:
        """One tick of the sensor: what it says, and its cursor."""
        with dg.build_sensor_context(instance=self.instance, cursor=cursor) as context:
            answer = sensor(["bank"])(context)
            assert isinstance(answer, dg.SkipReason)
            return str(answer.skip_message), context.cursor


def _until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


def _kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)


@pytest.fixture
def bench(places: Settings, bank: Bank, tmp_path: Path) -> Iterator[Bench]:
    bank.write(bank.night(1), places.data / "inbox")
    folder = tmp_path / "bench"
    folder.mkdir()
    bench = Bench(folder)
    bench.slow.touch()
    with bench.instance:
        yield bench
        bench.launcher.stop()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how many seconds later than now the reaper's monotonic clock says it is."""
    later = [0.0]
    start = time.monotonic()
    monkeypatch.setattr(reaper, "now", lambda: Instant(boot="this", seconds=start + later[0]))
    return lambda seconds: later.__setitem__(0, seconds)


def _again(bench: Bench, places: Settings, declaration: Declaration) -> None:
    """The same partition once more, undisturbed; before that nothing of it is in the lake."""
    raw = Workspace.open(places).dataset(declaration.name, "raw")
    assert raw.current(NIGHT) is None
    bench.slow.unlink()
    run_id = bench.launch()
    _until(lambda: bench.run(run_id).is_finished)
    assert bench.status(run_id) is dg.DagsterRunStatus.SUCCESS
    assert raw.current(NIGHT) is not None


def test_a_killed_run_is_found_and_alerted_and_its_night_runs_again(
    bench: Bench, places: Settings, declaration: Declaration
) -> None:
    run_id = bench.launch()
    _kill(bench.pid(run_id))
    _until(lambda: bench.state(run_id) == "ended")
    assert bench.status(run_id) is dg.DagsterRunStatus.STARTED
    said, _ = bench.evaluate()
    assert run_id in said
    assert bench.status(run_id) is dg.DagsterRunStatus.FAILURE
    [reason] = bench.failures(run_id)
    assert verdict.ENDED in reason
    with dg.build_sensor_context(instance=bench.instance) as context:
        alerted = alerts.sensor(declaration)(context)
    assert isinstance(alerted, dg.SkipReason)
    assert f"run {run_id} of bank_nightly ended as FAILURE" in str(alerted.skip_message)
    assert bench.evaluate()[0] == "no dead run"
    assert leases.names(places.leases) == []
    _again(bench, places, declaration)


def test_run_host_and_run_killed_together_are_found_by_one_look(
    bench: Bench, places: Settings, declaration: Declaration
) -> None:
    run_id = bench.launch()
    run, host = bench.pid(run_id), bench.host()
    _kill(host)
    _kill(run)
    _until(lambda: leases.look(places.leases, run_id).state == "free")
    lines, _ = reaper.reap(bench.instance, places, ["bank"])
    assert [run_id in line for line in lines] == [True]
    assert bench.status(run_id) is dg.DagsterRunStatus.FAILURE
    _again(bench, places, declaration)


def test_a_run_that_waited_or_was_never_launched_is_found_once_nobody_has_it(
    bench: Bench, places: Settings, declaration: Declaration, clock: Callable[[float], None]
) -> None:
    running, waiting = bench.launch(), bench.launch()
    process = bench.pid(running)
    cursor = None
    for seconds in (0, 90, 180, 270):
        clock(seconds)
        said, cursor = bench.evaluate(cursor)
        assert said == "no dead run", "the run host has it waiting, however long the other one takes"
    forgotten = bench.create()
    host = bench.host()
    _kill(host)
    _kill(process)
    _until(lambda: leases.look(places.leases, running).state == "free")
    said, cursor = bench.evaluate(cursor)
    assert (running in said, waiting in said, forgotten in said) == (True, False, False)
    for seconds in (330, 389):
        clock(seconds)
        said, cursor = bench.evaluate(cursor)
        assert said == "no dead run"
    clock(391)
    said, _ = bench.evaluate(cursor)
    assert (waiting in said, forgotten in said) == (True, True)
    for run_id in (waiting, forgotten):
        assert bench.status(run_id) is dg.DagsterRunStatus.FAILURE
        assert verdict.ABSENT in bench.failures(run_id)[0]
    _again(bench, places, declaration)


def test_a_slow_run_lives_whatever_the_clocks_say(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    run_id = bench.launch()
    bench.pid(run_id)
    wall, cursor = time.time, None
    for days in (1, -1, 400):
        monkeypatch.setattr(time, "time", lambda days=days: wall() + days * 86_400)
        clock(days * 86_400)
        said, cursor = bench.evaluate(cursor)
        assert said == "no dead run"
    monkeypatch.setattr(time, "time", wall)
    assert bench.status(run_id) is dg.DagsterRunStatus.STARTED
    bench.slow.unlink()
    _until(lambda: bench.run(run_id).is_finished)
    assert bench.status(run_id) is dg.DagsterRunStatus.SUCCESS


def test_of_two_reapers_at_once_one_reports(bench: Bench, places: Settings) -> None:
    run_id = bench.launch()
    _kill(bench.pid(run_id))
    _until(lambda: bench.state(run_id) == "ended")
    ready, told = threading.Barrier(2), []

    def look() -> None:
        ready.wait()
        told.append(reaper.reap(bench.instance, places, ["bank"], Watch())[0])

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(lines) for lines in told) == [0, 1]
    assert len(bench.failures(run_id)) == 1


def test_a_run_that_was_being_canceled_when_it_died_ends_as_canceled(bench: Bench) -> None:
    run_id = bench.launch()
    process = bench.pid(run_id)
    bench.instance.report_run_canceling(bench.run(run_id))
    _kill(process)
    _until(lambda: bench.state(run_id) == "ended")
    bench.evaluate()
    assert bench.status(run_id) is dg.DagsterRunStatus.CANCELED


def test_runs_of_others_are_left_alone(bench: Bench, places: Settings) -> None:
    run_id = bench.launch()
    _kill(bench.pid(run_id))
    _until(lambda: bench.state(run_id) == "ended")
    assert reaper.reap(bench.instance, places, ["bank_marketing"])[0] == []
    assert bench.status(run_id) is dg.DagsterRunStatus.STARTED
    assert leases.names(places.leases) == [run_id], "it is still to be found by who looks after it"


def test_a_run_that_lives_and_gets_nowhere_is_ended_at_its_limit(bench: Bench) -> None:
    run_id = bench.launch(**{"dagster/max_runtime": "1"})
    process = bench.pid(run_id)
    record = bench.instance.get_run_record_by_id(run_id)
    assert record is not None
    assert record.start_time is not None
    _until(lambda: time.time() - record.start_time > 1)
    monitor_started_run(bench.instance, None, record, logging.getLogger("test"))  # type: ignore[arg-type]
    _until(lambda: bench.state(run_id) == "ended")
    assert not Path(f"/proc/{process}").exists()
    assert bench.status(run_id) is dg.DagsterRunStatus.FAILURE
    assert "Exceeded maximum runtime of 1 seconds." in bench.failures(run_id)


def test_every_way_to_start_a_run_sets_a_limit(places: Settings) -> None:
    """Tags of a job go to all its runs; "Materialize" and backfills use a job of Dagster's own, without tags."""
    jobs = build(places)
    limits = {name: jobs.resolve_job_def(name).run_tags["dagster/max_runtime"] for name in JOB_LIMITS}
    assert limits == JOB_LIMITS
    with instance(places) as made:
        assert made.run_monitoring_enabled
        assert made.run_monitoring_max_runtime_seconds == 24 * 3600
        assert made.run_monitoring_start_timeout_seconds > 24 * 3600, "a run may wait for a retraining to end"
