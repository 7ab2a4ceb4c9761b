"""MLflow: one run per training, one registered model per pipeline, aliases that mirror kedge's own champion.

MLflow shows and serves; it never decides. Only its client is used, no global "active run", so that two trainings in
one process cannot write into each other's run. Nothing is pickled and no example rows are stored: a model is the bytes
of its safetensors and JSON files, see
`kedge.registry.layout`.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kedge import durable
from kedge.errors import Transient
from kedge.offline import silence
from kedge.registry import database
from kedge.registry.client import Client
from kedge.registry.layout import write_model
from kedge.registry.store import Registry
from kedge.settings import Settings

KEY = "kedge_version"
"""Tag of runs and registered versions: the model's version id in the lake."""


@dataclass(frozen=True)
class Tracking:
    """MLflow's store and where it keeps files.

    Attributes:
        uri: tracking and registry store, e.g. `sqlite:////home/.kedge/mlflow/mlflow.db`.
        artifacts: folder of model files.
    """

    uri: str
    artifacts: Path

    @classmethod
    def open(cls, settings: Settings) -> "Tracking":
        """The tracking store of these settings; made on first use."""
        return cls(settings.mlflow_uri, settings.mlflow_artifacts)

    @property
    def scratch(self) -> Path:
        """Folder for files on their way to MLflow."""
        return self.artifacts.parent / "scratch"

    @cached_property
    def client(self) -> Client:
        silence()
        from mlflow import MlflowClient

        logging.getLogger("mlflow.store").setLevel(logging.WARNING)
        database.prepare(self.uri)
        return Client(MlflowClient(tracking_uri=self.uri, registry_uri=self.uri))

    @contextmanager
    def run(self, pipeline: str, name: str, tags: Mapping[str, str] | None = None) -> Iterator["TrackedRun"]:
        """One run, open exactly as long as the block: FINISHED after it, FAILED if it raises.

        Args:
            pipeline: the experiment's name.
            name: the model's version id in the lake. Runs of the same name that a killed process left open are closed.
            tags: shown beside the run (cause, trigger, device).
        """
        experiment = self.experiment(pipeline)
        self._close_abandoned(experiment, name)
        opened = self.client.create_run(experiment, tags={**(tags or {}), KEY: name}, run_name=name)
        run = TrackedRun(self, pipeline, name, experiment, str(opened.info.run_id))
        try:
            yield run
        except BaseException:
            with suppress(Transient):  # what was raised says more; the next run of that name closes it
                self.client.set_terminated(run.id, "FAILED")
            raise
        self.client.set_terminated(run.id, "FINISHED")

    def logged(self, pipeline: str, name: str, run: str) -> "TrackedRun | None":
        """A run that was opened earlier, None if MLflow lost it.

        Args:
            pipeline, name: as for `run`.
            run: MLflow's id of it.
        """
        experiment = self.experiment(pipeline)
        found = self.client.search_runs([experiment], filter_string=f"tags.{KEY} = '{name}'")
        known = any(str(other.info.run_id) == run for other in found)
        return TrackedRun(self, pipeline, name, experiment, run) if known else None

    def experiment(self, pipeline: str) -> str:
        """Id of the pipeline's experiment, made on first use."""
        found = self.client.get_experiment_by_name(pipeline)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(pipeline, artifact_location=(self.artifacts / pipeline).as_uri()))

    def registered(self, pipeline: str) -> dict[str, int]:
        """Version id in the lake -> number of the registered version in MLflow."""
        found = self.client.search_model_versions(f"name = '{pipeline}'", max_results=10_000)
        return {str(v.tags[KEY]): int(v.version) for v in sorted(found, key=lambda v: int(v.version)) if KEY in v.tags}

    def aliases(self, pipeline: str) -> dict[str, int]:
        """Alias -> number of the registered version; empty for an unknown pipeline."""
        found = self.client.search_registered_models(f"name = '{pipeline}'")
        return {str(alias): int(number) for model in found for alias, number in model.aliases.items()}

    def mirror(self, pipeline: str, registry: Registry) -> dict[str, int | None]:
        """Make the aliases champion, challenger and previous say what the registry says.

        Called after every decision and at start: a process killed between decision and aliases leaves old ones behind.
        A model that MLflow lost gets no alias rather than a wrong one.

        Returns:
            The aliases that were changed and what they point to now; empty if all were right.
        """
        known = self.registered(pipeline)
        wanted, found = wanted_aliases(known, registry), self.aliases(pipeline)
        changes = {alias: number for alias, number in wanted.items() if number != found.get(alias)}
        for alias, number in changes.items():
            if number is None:
                self.client.delete_registered_model_alias(pipeline, alias)
            else:
                self.client.set_registered_model_alias(pipeline, alias, str(number))
        self._explain(pipeline, registry, known)
        return changes

    def _explain(self, pipeline: str, registry: Registry, known: Mapping[str, int]) -> None:
        """Tag the last decided version with the verdict and its reason."""
        last = next(reversed(registry.history()), None)
        if last is not None and last.model in known:
            for key, value in (("verdict", last.action), ("reason", last.reason)):
                self.client.set_model_version_tag(pipeline, str(known[last.model]), key, value)

    def _close_abandoned(self, experiment: str, name: str) -> None:
        wanted = f"tags.{KEY} = '{name}' and attributes.status = 'RUNNING'"
        for run in self.client.search_runs([experiment], filter_string=wanted):
            self.client.set_terminated(run.info.run_id, "KILLED")


def wanted_aliases(known: Mapping[str, int], registry: Registry) -> dict[str, int | None]:
    """What the aliases must be; challenger is the newest registered model unless it is the champion."""
    reigns = registry.reigns()
    champion = known.get(reigns[-1].model) if reigns else None
    previous = known.get(reigns[-2].model) if len(reigns) > 1 else None
    newest = max(known.values(), default=None)
    return {"champion": champion, "previous": previous, "challenger": None if newest == champion else newest}


@dataclass(frozen=True)
class TrackedRun:
    """An MLflow run.

    Attributes:
        pipeline: its experiment and registered model.
        model: the model's version id in the lake.
        experiment, id: MLflow's ids.
    """

    tracking: Tracking
    pipeline: str
    model: str
    experiment: str
    id: str

    @property
    def page(self) -> str:
        """Path of the run below the address of MLflow's web page."""
        return f"#/experiments/{self.experiment}/runs/{self.id}"

    def params(self, values: Mapping[str, Any]) -> None:
        """Settings of the training, in one batch."""
        from mlflow.entities import Param

        self.tracking.client.log_batch(self.id, params=[Param(k, str(v)) for k, v in values.items()])

    def history(self, steps: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Figures of many steps (epochs) in one batch: 1,000 single calls cost 2.6 s, one batch 0.06 s."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        found = [Metric(key, float(value), now, step) for step, values in steps for key, value in values.items()]
        for start in range(0, len(found), 1000):
            self.tracking.client.log_batch(self.id, metrics=found[start : start + 1000])

    def register(self, files: Mapping[str, bytes]) -> int:
        """Store the model's files in the run and register them as a version with the alias `challenger`.

        A model that is registered already (a rerun) keeps its number, and the aliases stay as they are.

        Args:
            files: name -> bytes, as `TabularModel.save` gives them: open evidence, no row and no value of a person.

        Returns:
            The number of the registered version.
        """
        known = self.tracking.registered(self.pipeline)
        if self.model in known:
            return known[self.model]
        number = self._register(files)
        self.tracking.client.set_registered_model_alias(self.pipeline, "challenger", str(number))
        return number

    def _register(self, files: Mapping[str, bytes]) -> int:
        client = self.tracking.client
        with durable.scratch(self.tracking.scratch) as folder:
            write_model(folder / "model", files)
            client.log_artifacts(self.id, str(folder))
        if not client.search_registered_models(f"name = '{self.pipeline}'"):
            client.create_registered_model(self.pipeline)
        source = f"{client.get_run(self.id).info.artifact_uri}/model"
        made = client.create_model_version(
            self.pipeline, source, run_id=self.id, tags={KEY: self.model}, await_creation_for=0
        )
        return int(made.version)
