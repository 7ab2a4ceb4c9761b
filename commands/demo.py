"""`kedge demo`: a simulated bank delivers night after night to the real pipeline; this watches and tells what happens.

Only the bank is simulated. Files are dropped into an inbox; Dagster's daemon, its sensors and jobs do the rest.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console

from commands import run as runs
from commands import up as services
from commands.places import demo_environment
from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.testing.bank import Bank, write
from resources.cause import CAUSE
from resources.instance import instance
from resources.launcher import WarmRunLauncher

PIPELINE = "bank"
HISTORY_NIGHTS = 30
STORY_NIGHTS = 12
SEED = 7
NIGHT_SECONDS = 180
RETRAIN_SECONDS = 300
POLL_SECONDS = 0.25


def demo(report: Path | None, console: Console) -> int:
    """Tell the story while it happens; print a table and write `report` at the end."""
    started = time.monotonic()
    os.environ.update(demo_environment())
    settings = Settings.from_environment()
    _fresh(settings)
    bank = Bank(SEED)
    with instance(settings) as dagster:
        launcher = _launcher(dagster)
        launcher.start()  # loads its libraries while the history is taken in
        try:
            _history(dagster, settings, bank, console)
            with _daemon(settings):
                for number in range(1, STORY_NIGHTS + 1):
                    _night(dagster, settings, bank, number, console)
        finally:
            launcher.stop()
    told = _told(settings, bank) | {"seconds": round(time.monotonic() - started, 1)}
    _finish(told, report, console)
    return 0


def _fresh(settings: Settings) -> None:
    folder = settings.home.parent
    marker = folder / "made-by-kedge-demo"
    if folder.exists() and not marker.exists() and any(folder.iterdir()):
        raise Terminal(
            "KEDGE_DEMO",
            need="an empty folder or one that an earlier demo made",
            got=f"{folder} with other files in it",
            remedy="Set KEDGE_DEMO to a folder that does not exist.",
        )
    shutil.rmtree(folder, ignore_errors=True)
    settings.data.joinpath("inbox").mkdir(parents=True)
    marker.touch()


def _launcher(dagster: dg.DagsterInstance) -> WarmRunLauncher:
    launcher = dagster.run_launcher
    assert isinstance(launcher, WarmRunLauncher)
    return launcher


def _history(dagster: dg.DagsterInstance, settings: Settings, bank: Bank, console: Console) -> None:
    console.rule("[bold]Thirty nights of history")
    console.print("The bank delivers a month of its customers; kedge validates and anonymizes each night.")
    past = bank.history(HISTORY_NIGHTS)
    for night in past:
        write(night, settings.data / "inbox")
    for night in past:
        if not runs.nightly(dagster, PIPELINE, night.date.isoformat(), console):
            raise Terminal("demo", need="a quiet history", got="a failed night", remedy="Read the reason above.")
    console.rule("[bold]The first champion")
    if not runs.retrain(dagster, settings, PIPELINE, past[-1].date.isoformat(), console):
        raise Terminal("demo", need="a first model", got="a failed training", remedy="Read the reason above.")
    console.print(_champion_line(settings))


@contextmanager
def _daemon(settings: Settings) -> Iterator[None]:
    process = services.start(services.daemon(), settings.dagster / "daemon.log")
    try:
        yield
    finally:
        services.stop([process])


def _night(dagster: dg.DagsterInstance, settings: Settings, bank: Bank, number: int, console: Console) -> None:
    """Drop one file and wait until the night and the retraining it may cause have ended."""
    night = bank.night(HISTORY_NIGHTS + number)
    date = night.date.isoformat()
    console.rule(f"[bold]N{number} · {date} · {night.kind}")
    console.print(night.story)
    started = time.monotonic()
    write(night, settings.data / "inbox")
    record = _wait(dagster, f"{PIPELINE}_nightly", {"dagster/partition": date}, NIGHT_SECONDS)
    console.print(f"night {record.status.value.lower()} after {time.monotonic() - started:.1f} s")
    for line in _what_happened(settings, date):
        console.print(f"  {line}", highlight=False)
    cause = _asked_for(dagster, settings)
    if cause is None:
        return
    console.print(f"  [bold]drift has lasted:[/] waiting for the sensor's retraining, cause {cause}", highlight=False)
    started = time.monotonic()
    _wait(dagster, f"{PIPELINE}_retrain", {CAUSE: cause}, RETRAIN_SECONDS)
    console.print(f"retraining ended after {time.monotonic() - started:.1f} s")
    console.print(_decision_line(settings))


def _wait(dagster: dg.DagsterInstance, job: str, tags: dict[str, str], seconds: float) -> dg.DagsterRun:
    """The run of `job` with these tags, once it has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = dagster.get_runs(dg.RunsFilter(job_name=job, tags=tags), limit=1)
        if found and found[0].is_finished:
            return found[0]
        time.sleep(POLL_SECONDS)
    raise Terminal(
        "demo",
        need=f"a finished run of {job} within {seconds:.0f} s",
        got="none",
        remedy="Read daemon.log and runhost.log below .demo/home/dagster.",
    )


def _asked_for(dagster: dg.DagsterInstance, settings: Settings) -> str | None:
    """The cause of the retraining that the drift sensor will ask for, by the same rule on the same facts."""
    from kedge.history import facts
    from kedge.retrain import RetrainPolicy, decide
    from kedge.spec import load
    from kedge.workspace import Workspace
    from sensors.history import undecided

    declaration = load(settings.pipelines / PIPELINE / "defs.yaml")
    known = facts(Workspace.open(settings), declaration, undecided(dagster, f"{PIPELINE}_retrain"))
    decision = decide(known, RetrainPolicy.of(declaration))
    return decision.cause if decision.action == "retrain" else None
