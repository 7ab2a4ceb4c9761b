"""Dagster's own jobs over planted rows, told to the host."""

import os
from importlib import import_module
from typing import Any

from host import serve
from rich.console import Console

from commands import run
from kedge.settings import Settings
from resources.instance import instance

MODULES = (
    "pipelines.definitions",
    "kedge.source.take",
    "kedge.quality.validate",
    "kedge.privacy.anonymize",
    "kedge.labels.label",
)


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """`do` is nightly, labels or retrain; `raising` names a function that fails with a message that quotes `value`."""
    for name in ("home", "keys", "data"):
        os.environ[f"KEDGE_{name.upper()}"] = f"{job['folder']}/{name}"
    settings = Settings.from_environment()
    if job.get("raising"):
        _break(*job["raising"].split(":"), job["value"])
    with instance(settings) as dagster:
        if job["do"] == "retrain":
            return {"succeeded": run.retrain(dagster, settings, "bank", job["night"], Console(width=200))}
        one = {"nightly": run.nightly, "labels": run.labels}[job["do"]]
        return {"succeeded": one(dagster, "bank", job["night"], Console(width=200))}


def _break(module: str, owner: str, name: str, dataset: str, value: str) -> None:
    """Let the function fail when it works for the dataset; the libraries' own messages quote values like this one."""
    target = getattr(import_module(module), owner)
    whole = getattr(target, name)

    def failing(self: Any, *arguments: Any, **named: Any) -> Any:
        place = getattr(getattr(self, "dataset", None), "name", dataset)
        if place == dataset:
            raise ValueError(f"conversion from str to date failed for {value}")
        return whole(self, *arguments, **named)

    setattr(target, name, failing)


if __name__ == "__main__":
    serve(answer, MODULES)
