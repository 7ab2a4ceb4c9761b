"""`kedge run`: Dagster's jobs, executed in this process and recorded in the instance like any other run."""

import time
import uuid
from datetime import date, timedelta
from functools import cache
from typing import Any

import dagster as dg
from rich.console import Console

from assets.attributes import daily
from commands.ending import told_to_end
from kedge.errors import Terminal
from kedge.leases import hold
from kedge.settings import Settings
from kedge.source import calendar
from kedge.spec import load
from resources.cause import Cause
from resources.instance import instance
from resources.reaper import reap

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(settings: Settings, pipeline: str, first: str, last: str, job: str, console: Console) -> int:
    """Run `job` for the nights `first` to `last` (a retraining: once, up to `last`); 1 when a run failed.

    Each night is a run of its own: a blocked one stops nothing but itself.
    """
    declaration = load(settings.pipelines / pipeline / "defs.yaml")
    for night in (first, last):
        calendar.day(declaration, night)
    if last < first:
        need, got = "a night that is not before --partition", f"{last}, which is before {first}"
        raise Terminal("--until", need=need, got=got, remedy="Swap them.")
    ended = daily(declaration).get_last_partition_key()
    if job != "retrain" and (ended is None or last > ended):
        need = f"a day that has ended, the last one is {ended}" if ended else "partitions.start in the past"
        raise Terminal("partition", need=need, got=last, remedy="Wait until the day is over.")
    if job == "labels" and not declaration.late:
        remedy = "Declare labels: and a target with from: labels, or run the night."
        raise Terminal("--job labels", need="a pipeline with labels", got="one without", remedy=remedy)
    with instance(settings) as dagster:
        for died in reap(dagster, settings, [pipeline])[0]:
            console.print(f"Found dead: {died}", markup=False, highlight=False)
        if job == "retrain":
            return 0 if retrain(dagster, settings, pipeline, last, console) else 1
        one = labels if job == "labels" else nightly
        failed = [night for night in nights(first, last) if not one(dagster, pipeline, night, console)]
    if failed:
        console.print(f"[bold red]{len(failed)} night(s) failed or were blocked:[/] {', '.join(failed)}")
    return 1 if failed else 0


def nights(first: str, last: str) -> list[str]:
    """Calendar days from `first` to `last`, both included."""
    start, days = date.fromisoformat(first), (date.fromisoformat(last) - date.fromisoformat(first)).days
    return [(start + timedelta(days=day)).isoformat() for day in range(days + 1)]


def nightly(dagster: dg.DagsterInstance, pipeline: str, night: str, console: Console) -> bool:
    """Run one night and print one line about it."""
    return _execute(dagster, f"{pipeline}_nightly", console, f"{pipeline} {night}", partition_key=night)


def labels(dagster: dg.DagsterInstance, pipeline: str, night: str, console: Console) -> bool:
    """Join the labels of one night and print one line about it."""
    title = f"{pipeline} labels of {night}"
    return _execute(dagster, f"{pipeline}_labels", console, title, partition_key=night)


def retrain(dagster: dg.DagsterInstance, settings: Settings, pipeline: str, until: str, console: Console) -> bool:
    """Train on the window that ends with `until`."""
    from kedge.registry.store import Registry
    from kedge.workspace import Workspace

    champion = Registry.open(Workspace.open(settings), pipeline).champion()
    cause = Cause(cause="asked for" if champion else "no champion", trigger="command", until=until)
    return _execute(dagster, f"{pipeline}_retrain", console, f"{pipeline} retraining up to {until}", tags=cause.tags())


def _execute(dagster: dg.DagsterInstance, job: str, console: Console, title: str, **arguments: Any) -> bool:
    started = time.monotonic()
    run_id = str(uuid.uuid4())
    with told_to_end() as told, hold(Settings.from_environment().leases, run_id):
        result = _job(job).execute_in_process(
            instance=dagster, run_id=run_id, raise_on_error=False, run_config=QUIET, **arguments
        )
    seconds = time.monotonic() - started
    console.print(f"{title}: {'done' if result.success else '[red]failed[/]'} in {seconds:.1f} s")
    for line in (*_replaced(result), *_reasons(result)):
        console.print(f"  {line}", markup=False, highlight=False)
    if number := told():
        console.print(f"  ended by {number.name}; what was not committed does not count, run it again")
        raise SystemExit(128 + number)
    return result.success


def _replaced(result: dg.ExecuteInProcessResult) -> list[str]:
    """A night that was delivered before and is another one now: everything that stands on it has changed."""
    given = [event.materialization.metadata for event in result.get_asset_materialization_events()]
    return [
        f"another delivery of a known day; raw is now {metadata['version'].value}"
        for metadata in given
        if all(name in metadata and metadata[name].value for name in ("written", "replaces_delivery"))
    ]


def _reasons(result: dg.ExecuteInProcessResult) -> list[str]:
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    found = []
    for failure in failures:
        given = failure.user_failure_data
        text = given.description if given is not None and given.description else None
        found.append(text or (failure.error.message.strip() if failure.error is not None else "no reason given"))
    return found


@cache
def _job(name: str) -> dg.JobDefinition:
    from pipelines.definitions import defs

    return defs.resolve_job_def(name)
