"""The asset `model`: a training set in, a model in the lake and in MLflow out. Trains in a process of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from kedge import faults
from kedge.keys import new_key
from kedge.lake import ALL, ROW, ROWS, Draft, Outcome, Version, check_same_rows, produce
from kedge.outcome import Check, Fact, Findings
from kedge.people import PART, TRAIN, VALIDATION, load_rows
from kedge.registry.store import Registry
from kedge.spec import Declaration
from kedge.spec.canonical import digest
from kedge.training.config import Config
from kedge.training.confinement import Isolation
from kedge.training.handover import serve
from kedge.training.memory import closed
from kedge.training.order import Order
from kedge.training.report import raise_left, result, take
from kedge.training.room import Room, room
from kedge.training.task import LabelFile, Night, Task
from kedge.workspace import Workspace

if TYPE_CHECKING:
    from kedge.registry.tracking import TrackedRun, Tracking

# Raised by hand whenever the same rows and seed would give another model; a golden test guards it.
CODE_VERSION = 1

Launch = Callable[[Order], None]

faults.register("training.launch", steps=("before", "after"))
faults.register("training.register.before")

_KEPT = ("plan", "plan_id", "first", "last", "nights", "subjects", "cause", "trigger")


def train(ws: Workspace, declaration: Declaration, *, launch: Launch, tracking: "Tracking | None" = None) -> Outcome:
    """Train on the current training set.

    Args:
        launch: starts the training process and waits for its end; raises if it failed. See `launch_local`.
        tracking: where the training is shown and the model registered, once the lake has it.

    Returns:
        the outcome for dataset `model`, partition `all`; files `model.safetensors` and `model.json`; check
        `finite_loss`; notes `training_set`, `plan`, `plan_id`, `token_version`, `features`, `first`, `last`, `nights`,
        `subjects`, `device`, `epochs`, `losses`, `stopped`, and `mlflow` {run, page} if it was tracked.

    Raises:
        Terminal: there is no training set, the training process failed, or it left no model that loads.
    """
    training_set = ws.dataset(declaration.name, "training_set").require(ALL, "Materialize the training set first.")
    training = _Training(ws, declaration, training_set, launch, tracking)
    outcome = produce(
        ws.dataset(declaration.name, "model"),
        ALL,
        inputs={"training_set": training_set.id},
        declared=declaration.part("model"),
        code=CODE_VERSION,
        seed=declaration.training.seed,
        write=training.write,
    )
    faults.reach("training.register.before")
    if tracking is not None and outcome.released:
        _register(tracking, Registry.open(ws, declaration.name), outcome)
    return outcome


@dataclass(frozen=True)
class _Training:
    """One training of one set."""

    ws: Workspace
    declaration: Declaration
    training_set: Version
    launch: Launch
    tracking: "Tracking | None"

    def write(self, draft: Draft) -> Findings:
        if self.tracking is None:
            return self._findings(*self._logged(draft))
        notes = self.training_set.manifest.notes
        tags = _tags({**notes, "training_set": self.training_set.id})
        with self.tracking.run(self.declaration.name, draft.version, tags) as run:
            files, found = self._logged(draft)
            _show(run, found["config"], found["device"], found["epochs"])
        return self._findings(files, found, mlflow={"run": run.id, "page": run.page})

    def _logged(self, draft: Draft) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Train, between its two entries of the audit trail."""
        config = digest(self.declaration.part("model"))
        place = {"zone": draft.dataset.zone, "dataset": draft.dataset.name, "partition": draft.partition}
        facts = {**place, "version": draft.version, "training_set": self.training_set.id}
        with self.ws.trail.change(self.declaration.name, "train", config=config, **facts) as outcome:
            files, found = self._train(draft)
            outcome |= {f"device_{fact}": str(found["device"][fact]) for fact in ("name", "precision")}
        return files, found

    def _train(self, draft: Draft) -> tuple[dict[str, bytes], dict[str, Any]]:
        """Model files and result of the training process; the files are in the draft."""
        isolation = Isolation.of(self.ws.settings)
        with room(isolation.user) as place:
            task, order = self._task(place), Order.of(place, isolation)
            with serve(place.pipe, task.to_bytes(), group=isolation.user), closed():
                faults.reach("training.launch.before")
                try:
                    self.launch(order)
                finally:
                    raise_left(place.out)  # says more than an exit code
                faults.reach("training.launch.after")
            found = result(place.out, task.key) | {"confined": order.confined}
            files = _verified(place.out, task.key)
        for name, data in files.items():
            draft.write_bytes(data, name)
        return files, found

    def _task(self, place: Room) -> Task:
        declaration = self.declaration
        nights = self.training_set.manifest.notes["nights"]
        return Task(
            nights=[self._night(night, version, place) for night, version in sorted(nights.items())],
            features=[(name, declaration.feature_kind(name)) for name in declaration.features],
            target=declaration.target,
            positive=declaration.positive,
            subject=declaration.subject,
            kind=declaration.task,
            exposure=declaration.exposure,
            device=declaration.training.device,
            config=Config(seed=declaration.training.seed).to_json(),
            key=new_key(),
        )

    def _night(self, night: str, version: str, place: Room) -> Night:
        """The key of one file and which of its rows train; held-out rows are read past."""
        rows = load_rows(self.ws, self.declaration, {night: version}, {TRAIN, VALIDATION}, columns=[])
        stored = self.ws.dataset(self.declaration.name, "anonymized").version(night, version)
        (file,) = stored.file_keys([ROWS])
        masks = {part: _bits(rows.filter(pl.col(PART) == part)[ROW]) for part in (TRAIN, VALIDATION)}
        labels, path = self._labels(night, stored, place), place.take_in(file.path)
        return Night(path=path, key=file.key, aad=file.aad.decode(), labels=labels, **masks)

    def _labels(self, night: str, rows: Version, place: Room) -> LabelFile | None:
        """The key of the outcomes that the training set names, if they arrived later."""
        labels = self.training_set.manifest.notes.get("labels")
        if labels is None:
            return None
        stored = self.ws.dataset(self.declaration.name, "labels").version(night, labels[night])
        check_same_rows(rows, stored)
        (file,) = stored.file_keys([ROWS])
        path = place.take_in(file.path)
        return LabelFile(path=path, key=file.key, aad=file.aad.decode(), columns=[self.declaration.target])

    def _findings(
        self, files: Mapping[str, bytes], found: Mapping[str, Any], mlflow: Mapping[str, Any] | None = None
    ) -> Findings:
        notes = self.training_set.manifest.notes
        kept = {name: notes[name] for name in _KEPT}
        trained = {
            **kept,
            "training_set": self.training_set.id,
            "token_version": notes["plan"]["method"],
            "features": list(self.declaration.features),
            "device": found["device"],
            "threads": found["config"]["threads"],
            "epochs": found["best"],
            "losses": found["epochs"],
            "stopped": found["stopped"],
            "config": found["config"],
            "confined": found["confined"],
        }
        extra: dict[str, Any] = {} if mlflow is None else {"mlflow": dict(mlflow)}
        if self.declaration.task != "binary":
            extra |= {"task": self.declaration.task, "exposure": self.declaration.exposure}
        return Findings(checks=(_finite(found),), facts=_facts(files, found, notes), notes=trained | extra)


def _bits(positions: pl.Series) -> bytes:
    """Bit i says whether position i is among them."""
    chosen = positions.to_numpy()
    mask = np.zeros(chosen.max(initial=0) + 1, np.bool_)
    mask[chosen] = True
    return np.packbits(mask, bitorder="little").tobytes()


def _verified(out: Path, key: bytes) -> dict[str, bytes]:
    """The model's files, if they are a model.

    Raises:
        Tampered: the weights are not those of the settings, or a file is not what the training process sealed.
        Terminal: a file is missing.
    """
    from kedge.training.model import SETTINGS, WEIGHTS, TabularModel

    files = {name: take(out, name, key) for name in (WEIGHTS, SETTINGS)}
    TabularModel.load(files)
    return files


def _finite(found: Mapping[str, Any]) -> Check:
    return Check(
        name="finite_loss",
        passed=found["finite"],
        blocking=False,
        facts={"passes": len(found["epochs"])},
        description="every loss was a finite number; otherwise the last good weights are kept",
    )


def _facts(files: Mapping[str, bytes], found: Mapping[str, Any], notes: Mapping[str, Any]) -> dict[str, Fact]:
    losses = [epoch["validation_loss"] for epoch in found["epochs"] if epoch["validation_loss"] is not None]
    return {
        "rows_train": found["rows"]["train"],
        "rows_validation": found["rows"]["validation"],
        "rows_without_outcome": found["rows"]["without_outcome"],
        "base_rate": found["base_rate"],
        "epochs": found["best"],
        "stopped": found["stopped"],
        "validation_loss": min(losses),
        "device": found["device"]["name"],
        "precision": found["device"]["precision"],
        "confined": found["confined"],
        "bytes": sum(len(data) for data in files.values()),
        "first": notes["first"],
        "last": notes["last"],
        "cause": notes["cause"],
    }


def _tags(notes: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(notes[name]) for name in ("cause", "trigger", "training_set")}


def _show(
    run: "TrackedRun", config: Mapping[str, Any], device: Mapping[str, Any], epochs: Sequence[Mapping[str, Any]]
) -> None:
    """Tell MLflow how the training went."""
    run.params({**config, **{f"device_{key}": value for key, value in device.items()}})
    history = []
    for step, epoch in enumerate(epochs, start=1):
        measured = {name: epoch[name] for name in ("train_loss", "validation_loss", "rows_per_second")}
        named = {f"{epoch['phase']}_{name}": value for name, value in measured.items() if value is not None}
        history.append((step, named))
    run.history(history)


def _register(tracking: "Tracking", registry: Registry, outcome: Outcome) -> None:
    """Register the model that the lake has; a run that was killed before leaves it to the next, which finds it current.

    A training that MLflow does not know (it was not tracked, or MLflow's store was lost) is shown there now.
    """
    version, notes = outcome.version, outcome.notes
    pipeline = version.dataset.pipeline
    if version.id not in tracking.registered(pipeline):
        run = tracking.logged(pipeline, version.id, notes["mlflow"]["run"]) if "mlflow" in notes else None
        if run is None:
            with tracking.run(pipeline, version.id, _tags(notes)) as run:
                _show(run, notes["config"], notes["device"], notes["losses"])
        run.register({name: version.read_bytes(name) for name in version.manifest.files})
    tracking.mirror(pipeline, registry)
