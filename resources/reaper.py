"""Finds runs whose process is gone and ends them in Dagster, with the reason (docs/adr/0008)."""

import time
from collections.abc import Collection
from pathlib import Path

import dagster as dg
from dagster._core.launcher.base import WorkerStatus

from kedge import leases
from kedge.durable import lock
from kedge.leases import Death, Instant, Sighting, Watch
from kedge.leases.lease import boot
from kedge.settings import Settings
from resources.runs import UNFINISHED, belongs

LOOK_AT_RUNS = 1_000
"""Unfinished runs seen in one look, the oldest first; a look has to be quick."""


def reap(
    instance: dg.DagsterInstance, settings: Settings, pipelines: Collection[str], watch: Watch | None = None
) -> tuple[list[str], Watch]:
    """End the dead among the unfinished runs of these pipelines; one line for each, and the watch for the next look.

    Without the watch of earlier looks only those end whose death is certain at once. The lake needs nothing: what a
    dead run had not committed does not exist.
    """
    folder = settings.leases
    found = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED), limit=LOOK_AT_RUNS, ascending=True)
    runs = [record.dagster_run for record in found]
    ours = [run for run in runs if any(belongs(run, pipeline) for pipeline in pipelines)]
    dead, after = leases.judge([_see(instance, folder, run) for run in ours], watch or Watch(), now())
    lines = [line for death in dead if (line := _bury(instance, folder, death))]
    _tidy(instance, folder)
    return lines, after


def now() -> Instant:
    """This machine's monotonic clock, which all its processes share and nobody can set."""
    return Instant(boot=boot(), seconds=time.monotonic())


def _see(instance: dg.DagsterInstance, folder: Path, run: dg.DagsterRun) -> Sighting:
    lease = leases.look(folder, run.run_id)
    return Sighting(
        run=run.run_id,
        lease=lease,
        queued=run.status == dg.DagsterRunStatus.QUEUED,
        vouched=lease.state != "held" and _vouched(instance, run),
    )


def _vouched(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the launcher knows of a process for this run; it cannot know of one that made the run itself."""
    launcher = instance.run_launcher
    launched = run.job_code_origin is not None and run.status != dg.DagsterRunStatus.NOT_STARTED
    if not launched or not launcher.supports_check_run_worker_health:
        return False
    return launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def _bury(instance: dg.DagsterInstance, folder: Path, death: Death) -> str | None:
    """Report one dead run, unless it has ended by itself or by another reaper since it was seen."""
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder / ".reaper"):
        run = instance.get_run_by_id(death.run)
        if run is None or run.is_finished or leases.look(folder, death.run).state == "held":
            return None
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, death.reason)
        else:
            instance.report_run_failed(run, f"{death.reason} What it had committed stays; start it again.")
    leases.drop(folder, death.run)
    return f"run {run.run_id} of {run.job_name}: {death.reason}"


def _tidy(instance: dg.DagsterInstance, folder: Path) -> None:
    """Remove leases that were left by processes that were killed after their run had ended."""
    for name in leases.names(folder):
        run = instance.get_run_by_id(name)
        # A process takes its lease before Dagster hears of the run; on another machine we cannot see that it holds it.
        if run.is_finished if run is not None else leases.look(folder, name).state == "free":
            leases.drop(folder, name)
