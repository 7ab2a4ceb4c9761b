"""A small bank, told to the host: every stage from a delivery to a second champion, and what it left on the disk."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import late
from host import serve

from kedge import durable, faults
from kedge.audit.verify import verify
from kedge.errors import Terminal
from kedge.registry.store import Registry
from kedge.settings import Settings
from kedge.settle import COMMITS, DECISIONS, settle
from kedge.spec import Declaration
from kedge.workspace import ZONES, Workspace

ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "inbox/{date}.csv", "after": "archive"},
    "columns": {
        "customer": {"type": "string", "role": "subject", "privacy": "token"},
        "born": {"type": "date", "privacy": {"bins": "10y"}, "quasi": True},
        "balance": {"type": "float"},
        "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
        "left": {"type": "bool", "role": "target"},
    },
    "quarantine_at_most": "20%",
    "privacy": {"k": 5, "mask_at_most": "50%", "drop_at_most": "20%"},
    "training": {"window": "5d", "device": "cpu"},
    "gates": {"auc": ">= 0.1"},
    "champion": {"margin": 0.2},
}
PIPELINES = ("bank", "late")
ROWS, FIRST = 300, date(2026, 1, 1)
KNOWN, NIGHT = 3, "2026-01-04"  # nights before the one whose stages are disturbed
KEDGE = (
    "kedge.drift.report",
    "kedge.evaluation.evaluate",
    "kedge.labels.label",
    "kedge.privacy.anonymize",
    "kedge.quality.validate",
    "kedge.registry.promote",
    "kedge.scoring",
    "kedge.source.take",
    "kedge.training.train",
    "kedge.training.training_set",
    "kedge.training.worker",
    "resources.contest",
)
STAGES = (
    "raw",
    "validated",
    "anonymized",
    "labels",
    "predictions",
    "drift_report",
    "training_set",
    "model",
    "evaluation",
    "champion",
)


def run(stage: str, folder: Path) -> None:
    """The stage as its asset calls it, for the last night or for the second retraining."""
    launch = _launcher() if stage.endswith("model") else None
    ws, declaration = opened(folder)
    with closing(ws.trail):  # signs, so that the points of signing are passed however busy the machine is
        for pipeline in PIPELINES:
            settle(ws, pipeline)
        _STAGES[stage](ws, declaration, launch)


def opened(folder: Path) -> tuple[Workspace, Declaration]:
    return Workspace.open(_settings(folder)), Declaration.named("bank", ATTRIBUTES)


def _settings(folder: Path) -> Settings:
    names = {name: str(folder / name.lower()) for name in ("HOME", "KEYS", "DATA")}
    return Settings.from_environment({f"KEDGE_{name}": path for name, path in names.items()})


def _raw(ws: Workspace, declaration: Declaration, _: object, night: str = NIGHT) -> None:
    from kedge.source.take import take

    take(ws, declaration, night)


def _validated(ws: Workspace, declaration: Declaration, _: object, night: str = NIGHT) -> None:
    from kedge.quality.validate import validate

    assert validate(ws, declaration, night).validated.released


def _anonymized(ws: Workspace, declaration: Declaration, _: object, night: str = NIGHT) -> None:
    from kedge.privacy.anonymize import anonymize

    outcome = anonymize(ws, declaration, night)
    assert outcome.released, outcome.reason


def _labels(ws: Workspace, _: Declaration, __: object) -> None:
    late.label(ws)


def _predictions(ws: Workspace, declaration: Declaration, _: object) -> None:
    from kedge.scoring import predict

    assert predict(ws, declaration, NIGHT)


def _drift_report(ws: Workspace, declaration: Declaration, _: object) -> None:
    from kedge.drift.report import report
    from kedge.scoring import scorer

    assert report(ws, declaration, NIGHT, score=scorer(ws, declaration))


def _training_set(ws: Workspace, declaration: Declaration, _: object) -> None:
    from kedge.training.training_set import assemble

    assemble(ws, declaration, cause="asked for", trigger="person")


def _model(ws: Workspace, declaration: Declaration, launch: Any) -> None:
    from kedge.registry.tracking import Tracking
    from kedge.training import train
    from kedge.training.config import Config

    train.Config = partial(Config, hidden=8, embedding=2, bins=4, epochs=1, steps=4, shortest=1)  # type: ignore[misc]
    train.train(ws, declaration, launch=launch, tracking=Tracking.open(ws.settings))


def _evaluation(ws: Workspace, declaration: Declaration, _: object) -> None:
    from kedge.evaluation.evaluate import evaluate
    from kedge.scoring import scorer
    from resources.contest import challenger, champion

    found = challenger(ws, declaration), champion(ws, declaration)
    evaluate(ws, declaration, challenger=found[0], champion=found[1], score=scorer(ws, declaration))


def _champion(ws: Workspace, declaration: Declaration, _: object) -> None:
    from kedge.registry.promote import promote
    from kedge.registry.tracking import Tracking

    decision = promote(ws, declaration, Tracking.open(ws.settings))
    assert decision.promoted, decision.reason


_STAGES: dict[str, Callable[..., None]] = {stage: globals()[f"_{stage}"] for stage in STAGES}
_STAGES["first_model"] = _model


def _launcher() -> Callable[[Any], None]:
    """A training process that waits, forked before this process starts a thread; importing torch anew takes 4 s."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        with os.fdopen(reading) as orders:
            order = orders.read()
        if not order:  # the stage ended without a training
            os._exit(0)
        os.environ.update(json.loads(order))
        from kedge.training.worker import main

        os._exit(main())
    os.close(reading)

    def launch(order: Any) -> None:
        from kedge.training.launch import STARTED

        with os.fdopen(writing, "w") as orders:
            json.dump(dict(order.environment), orders)
        faults.reach(STARTED)
        if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise Terminal("the training process", need="exit code 0", got=str(code), remedy="A test killed it.")

    return launch


def prepare(folder: Path) -> None:
    """The nights before the last one, up to the first training set; those of the pipeline whose outcomes are late."""
    for night in range(KNOWN):
        deliver(folder, night)
    ws, declaration = opened(folder)
    for night in range(KNOWN):
        for stage in (_raw, _validated, _anonymized):
            stage(ws, declaration, None, (FIRST + timedelta(days=night)).isoformat())
    _training_set(ws, declaration, None)
    late.prepare(ws)


def crown(folder: Path) -> None:
    """The first champion, and the delivery of the last night."""
    ws, declaration = opened(folder)
    _evaluation(ws, declaration, None)
    _champion(ws, declaration, None)
    deliver(folder, KNOWN)


def advance(stage: str, folder: Path) -> dict[str, Any]:
    """Run a stage; what was there before and is after. Looking opens logs, which is not to be traced."""
    fault = os.environ.pop(faults.VARIABLE)
    before = snapshot(folder)
    os.environ[faults.VARIABLE] = fault
    run(stage, folder)
    del os.environ[faults.VARIABLE]
    return {"before": before, "after": snapshot(folder)}


def deliver(folder: Path, number: int) -> None:
    """Drop a night's file; every customer comes every night, so that training sets are of several nights each."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(number)
    balance, plan = random.normal(0, 1, ROWS).round(3), random.choice(["basic", "plus", "flex"], ROWS)
    frame = pl.DataFrame(
        {
            "customer": [f"C{person}" for person in random.permutation(4 * ROWS)[:ROWS]],
            "born": [str(date(1960 + int(year), 5, 17)) for year in random.integers(0, 20, ROWS)],
            "balance": [*map(str, balance[:-3]), "much", "more", "most"],
            "plan": plan,
            "left": np.where(random.random(ROWS) < 1 / (1 + np.exp(-3 * balance)), "true", "false"),
        }
    )
    inbox = folder / "data" / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    frame.write_csv(inbox / f"{FIRST + timedelta(days=number)}.csv")


def copied(prepared: Path, folder: Path) -> Path:
    """A copy that knows its own place: MLflow writes absolute paths into its database."""
    shutil.copytree(prepared, folder)
    database = folder / "home" / "mlflow" / "mlflow.db"
    if not database.exists():
        return folder
    with closing(sqlite3.connect(database)) as store:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("model_versions", "source"),
            ("model_versions", "storage_location"),
        ):
            places = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            store.execute(places, (f"{prepared.parent / 'work'}/", f"{folder}/"))
        store.commit()
    return folder


def snapshot(folder: Path) -> dict[str, Any]:
    """Everything that a rerun must find and leave as an undisturbed run does; raises if a version is not whole."""
    ws, _ = opened(folder)
    registry = Registry.open(ws, "bank")
    champion = registry.champion()
    return {
        **_versions(ws),
        **_told(ws),
        "decisions": [[d.number, d.action, d.model, d.evaluation, d.predecessor] for d in registry.history()],
        "champion": champion.model if champion else None,
        **_mlflow(folder / "home" / "mlflow" / "mlflow.db"),
        "reports": sorted(path.name for path in ws.settings.reports.rglob("*.html") if path.stat().st_size),
        "delivered": sorted(str(path.relative_to(folder)) for path in (folder / "data").rglob("*.csv")),
        "temporary": _temporary(folder),
    }


def _versions(ws: Workspace) -> dict[str, Any]:
    current: dict[str, list[str]] = {}
    stored = []
    for dataset in (ws.dataset(pipeline, name) for pipeline in PIPELINES for name in ZONES):
        place = f"{dataset.pipeline}/{dataset.name}"
        for path in sorted(dataset.path.glob("*/v*")):
            version = dataset.version(path.parent.name, path.name)
            version.check_whole()
            stored.append(f"{place}/{path.parent.name}/{path.name}")
        for partition in dataset.partitions():
            version = dataset.require(partition, "")
            current[f"{place}/{partition}"] = [version.id, version.manifest.content_digest]
    return {"current": current, "stored": stored}


def _told(ws: Workspace) -> dict[str, Any]:
    """What the audit trail says of it; raises if a log is not whole.

    `announced`: partitions and the versions that somebody meant to make current; `told`: the last that came about;
    `ruled`: decisions that did, in order; `unsettled`: changes without an outcome.
    """
    announced: dict[str, list[str]] = {}
    told: dict[str, str] = {}
    ruled: list[list[Any]] = []
    unsettled: list[str] = []
    for pipeline in PIPELINES:
        verify(ws.settings.audit / pipeline, ws.trail.log(pipeline).vkey)
        open_: dict[int, dict[str, Any]] = {}
        for number, entry in ws.trail.log(pipeline).entries():
            if entry["phase"] == "intent":
                open_[number] = entry
            if entry["phase"] == "outcome":
                intent = open_.pop(entry["of"])  # raises where there are two
                if entry["result"] == "done" and entry["action"] in DECISIONS:
                    ruled.append([intent["number"], entry["action"], intent["model"]])
            if entry["action"] not in COMMITS - {"attempt"}:
                continue
            place = f"{pipeline}/{entry['dataset']}/{entry['partition']}"
            announced.setdefault(place, []).append(entry["version"])
            if entry.get("result") == "done":
                told[place] = entry["version"]
        unsettled += [entry["action"] for entry in open_.values()]
    return {"announced": announced, "told": told, "ruled": ruled, "unsettled": unsettled}


def _mlflow(database: Path) -> dict[str, Any]:
    """What MLflow's tables say: models and aliases by kedge's version ids, and how many runs are open."""
    if not database.exists():
        return {"registered": [], "aliases": {}, "open_runs": 0}
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as store:
        tagged = "SELECT version, value FROM model_version_tags WHERE key = 'kedge_version'"
        known = {str(number): model for number, model in store.execute(tagged)}
        aliases = store.execute("SELECT alias, version FROM registered_model_aliases").fetchall()
        running = store.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()
    return {
        "registered": sorted(known.values()),
        "aliases": {alias: known[str(number)] for alias, number in aliases},
        "open_runs": running[0],
    }


def _temporary(folder: Path) -> list[str]:
    left = [path for path in folder.rglob(f"{durable.TEMPORARY}*") if "temporary" not in path.relative_to(folder).parts]
    private = folder / "temporary"
    left += [path for path in private.rglob("*") if path.name != ".lock" and path.parent != private]
    left += [path for path in private.glob("*") if not path.name.startswith("kedge-")]
    return sorted(str(path.relative_to(folder)) for path in left if path.name != "training")


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    """One job: `do` is prepare, crown, advance, run or again."""
    folder, do = Path(job["folder"]), job["do"]
    if do == "advance":
        return advance(job["stage"], folder)
    if do == "again":
        between = snapshot(folder)
        run(job["stage"], folder)
        return {"between": between, "after": snapshot(folder)}
    if do == "run":
        run(job["stage"], folder)
    else:
        {"prepare": prepare, "crown": crown}[do](folder)
    return {}


if __name__ == "__main__":
    serve(_answer, KEDGE, copied)
