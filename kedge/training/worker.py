"""The training process: `python -m kedge.training.worker`, started by torchrun.

It gets its task over a pipe, reads the nights with their data keys, trains, and leaves the model in a folder, sealed.
It knows neither the lake nor its keys. An error that is not kedge's own is told by type and place only, since its
message could quote rows.
"""

import json
import os
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np
import pyarrow as pa

from kedge import faults
from kedge.errors import KedgeError, Terminal
from kedge.training.config import Config
from kedge.training.device import choose
from kedge.training.fit import Examples, Fitted, fit
from kedge.training.handover import receive
from kedge.training.nightfile import read
from kedge.training.order import OUT, PIPE
from kedge.training.preprocess import Feature
from kedge.training.progress import Say, reporter
from kedge.training.report import ERROR, describe, leave
from kedge.training.task import Task

faults.register("training.worker", steps=("received", "fitted", "left"))


def main() -> int:
    """Run one task; the exit code is 0 if a model was left."""
    pipe, out = Path(os.environ[PIPE]), Path(os.environ[OUT])
    try:
        _refuse_many()
        with receive(pipe, orphaned=lambda: _vanish(pipe.parent)) as content, reporter() as say:
            faults.reach("training.worker.received")
            task = Task.from_bytes(content)
            fitted = run(task, say)
            faults.reach("training.worker.fitted")
            leave(out, fitted.model.save(), fitted.to_json(), task.key)
            faults.reach("training.worker.left")
    except KedgeError as error:
        (out / ERROR).write_text(json.dumps(describe(error)), encoding="utf-8")
        return _end(str(error))
    except Exception as error:  # noqa: BLE001 - told without its message, which may quote rows
        found = unexpected(error)
        (out / ERROR).write_text(json.dumps(describe(found)), encoding="utf-8")
        return _end(str(found))
    return 0


def run(task: Task, say: Say) -> Fitted:
    """Read, fit, report."""
    examples = gather(task)
    device = choose(task.device)
    people = "rows" if task.subject is None else "rows by person"
    say(f"training on {device.name} ({device.precision}): {examples.table.num_rows:,} {people}")
    fitted = fit(examples, Config.from_json(task.config), device=device, on_epoch=lambda epoch: say(str(epoch)))
    say(f"trained for {fitted.best} passes: {fitted.stopped}")
    return fitted


def gather(task: Task) -> Examples:
    """All rows of the task that train, from all nights."""
    names = [name for name, _ in task.features]
    extra = [name for name in (task.subject, task.exposure) if name]
    parts = [read(night, list(dict.fromkeys([*names, task.target, *extra]))) for night in task.nights]
    return Examples(
        table=pa.concat_tables([rows for rows, _ in parts], promote_options="permissive"),
        features=[Feature(name, kind) for name, kind in task.features],
        target=task.target,
        positive=task.positive,
        subject=task.subject,
        kind=task.kind,
        exposure=task.exposure,
        validation=np.concatenate([validation for _, validation in parts]),
    )


def unexpected(error: Exception) -> Terminal:
    """An error by its type and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    own = next((f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames) if "kedge" in f.filename), place)
    return Terminal(
        "the training process",
        need="to end well",
        got=f"{type(error).__name__} at {place}, called from {own}; its message is withheld, it may quote rows",
        remedy="Train on made-up rows of the same declaration to see the whole message.",
    )


def _refuse_many() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise Terminal(
            "torchrun --nproc-per-node", need="1", got="more", remedy="Several processes are not supported yet."
        )


def _vanish(folder: Path) -> None:
    """Nobody waits for the model any more: stop at once and leave nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _end(line: str) -> int:
    sys.stderr.write(f"kedge: {line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
