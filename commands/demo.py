"""`kedge demo`: a simulated bank delivers night after night to the real pipeline; this watches and tells what happens.

Only the bank is simulated. Files are dropped into an inbox; Dagster's daemon, its sensors and jobs do the rest.
"""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from rich.console import Console

from commands import run as runs
from commands import up as services
from commands.places import demo_environment
from commands.tale import Tale
from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.testing.bank import STORY, Bank, Scene
from resources.cause import CAUSE
from resources.instance import instance
from resources.launcher import WarmRunLauncher

PIPELINE = "bank"
NIGHTLY, RETRAIN = f"{PIPELINE}_nightly", f"{PIPELINE}_retrain"
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
    bank = Bank(seed=SEED)
    tale = Tale(settings, PIPELINE, console)
    with instance(settings) as dagster:
        launcher = _launcher(dagster)
        launcher.start()  # it loads its libraries while the history is taken in
        try:
            _history(dagster, settings, bank, tale)
            with _daemon(settings):
                for scene in STORY:
                    _night(dagster, settings, bank, scene, tale)
        finally:
            launcher.stop()
    tale.end(bank, time.monotonic() - started, report)
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


def _history(dagster: dg.DagsterInstance, settings: Settings, bank: Bank, tale: Tale) -> None:
    past = list(bank.history())
    tale.chapter(f"{len(past)} nights of history", "The bank delivers; kedge validates and anonymizes night by night.")
    for night in past:
        bank.write(night, settings.data / "inbox")
    quiet = [runs.nightly(dagster, PIPELINE, night.date.isoformat(), tale.console) for night in past]
    tale.chapter("The first champion", "A network trains on four fifths of the customers and is judged on the others.")
    if not all(quiet) or not runs.retrain(dagster, settings, PIPELINE, past[-1].date.isoformat(), tale.console):
        need = "a quiet history and a first model"
        raise Terminal("demo", need=need, got="a failed run", remedy="See the reason above.")
    tale.decision()


@contextmanager
def _daemon(settings: Settings) -> Iterator[None]:
    with services.only_daemon(settings):
        process = services.start(services.daemon(), settings.dagster / "daemon.log")
        try:
            yield
        finally:
            services.stop([process])


def _night(dagster: dg.DagsterInstance, settings: Settings, bank: Bank, scene: Scene, tale: Tale) -> None:
    """Drop one file and wait until the night and the retraining it may cause have ended."""
    night = bank.night(scene.night)
    date = night.date.isoformat()
    tale.chapter(f"N{scene.night}  {date}  {scene.kind}", scene.story)
    known = {run.run_id for run in _runs(dagster, RETRAIN)}
    started = time.monotonic()
    bank.write(night, settings.data / "inbox")
    _wait(dagster, NIGHTLY, {"dagster/partition": date}, NIGHT_SECONDS)
    tale.night(date, time.monotonic() - started)
    run = _asked_for(dagster, settings, known)
    if run is None:
        return
    tale.line(f"Drift has lasted: the sensor asks for a retraining, cause {run.tags[CAUSE]}")
    started = time.monotonic()
    ended = _wait(dagster, RETRAIN, {CAUSE: run.tags[CAUSE]}, RETRAIN_SECONDS)
    if ended.status != dg.DagsterRunStatus.SUCCESS:
        need, got = "a retraining that ends with a decision", f"a run that ended as {ended.status.value}"
        raise Terminal("demo", need=need, got=got, remedy=f"Read its log: kedge up --demo, run {ended.run_id}.")
    tale.line(f"retrained in {time.monotonic() - started:.1f} s")
    tale.decision()


def _runs(dagster: dg.DagsterInstance, job: str, tags: dict[str, str] | None = None) -> Sequence[dg.DagsterRun]:
    """Runs of a job, the newest first."""
    return dagster.get_runs(dg.RunsFilter(job_name=job, tags=tags))


def _wait(dagster: dg.DagsterInstance, job: str, tags: dict[str, str], seconds: float) -> dg.DagsterRun:
    """The run of `job` with these tags, once it has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = _runs(dagster, job, tags)
        if found and found[0].is_finished:
            return found[0]
        time.sleep(POLL_SECONDS)
    raise Terminal(
        "demo",
        need=f"a finished run of {job} within {seconds:.0f} s",
        got="none",
        remedy="Read daemon.log and runhost.log below .demo/home/dagster.",
    )


def _asked_for(dagster: dg.DagsterInstance, settings: Settings, known: set[str]) -> dg.DagsterRun | None:
    """The retraining that the sensor asks for after a night; None when, by the same rule, it will not ask.

    The rule is asked before the runs are looked at: once the sensor has started its run, the rule says "wait".
    """
    from kedge.history import facts
    from kedge.retrain import RetrainPolicy, decide
    from kedge.spec import load
    from kedge.workspace import Workspace
    from sensors.history import undecided

    declaration = load(settings.pipelines / PIPELINE / "defs.yaml")
    while True:
        rule = decide(
            facts(Workspace.open(settings), declaration, undecided(dagster, RETRAIN)), RetrainPolicy.of(declaration)
        )
        new = [run for run in _runs(dagster, RETRAIN) if run.run_id not in known]
        if new:
            return new[-1]
        if rule.action != "retrain":
            return None
        time.sleep(POLL_SECONDS)
