"""A small bank with a champion, built once by the real stages, and copies of it to tamper with."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from commands import app as commands
from commands import keys
from kedge.errors import KedgeError
from kedge.registry.store import Registry
from kedge.settings import Settings
from kedge.spec import Declaration, load
from kedge.workspace import ZONES, Workspace

ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": "2026-01-01"},
    "source": {"files": "inbox/{date}.csv"},
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
ROWS, FIRST = 300, date(2026, 1, 1)
NIGHTS = [(FIRST + timedelta(days=number)).isoformat() for number in range(3)]
RUN = "0123456789abcdef0123456789abcdef"
"""Of the copy in MLflow's artifacts."""


@dataclass(frozen=True)
class Vault:
    """An installation in a folder of its own.

    Attributes:
        folder: `home`, `keys`, `data` and `pipelines` lie in it.
    """

    folder: Path

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment)

    @property
    def environment(self) -> Mapping[str, str]:
        names = ("HOME", "KEYS", "DATA", "PIPELINES")
        return {f"KEDGE_{name}": str(self.folder / name.lower()) for name in names}

    @property
    def copy(self) -> Path:
        """The model in MLflow's artifacts."""
        return self.settings.mlflow_artifacts / "bank" / RUN / "artifacts" / "model"

    @property
    def trail(self) -> Path:
        """Folder of the log."""
        return self.folder / "home" / "audit" / "bank"

    @property
    def ring(self) -> Path:
        return next((self.folder / "keys").glob("l*/ring.json"))

    def partition(self, dataset: str, night: str = NIGHTS[0]) -> Path:
        return self.folder / "home" / "lake" / ZONES[dataset] / "bank" / dataset / night

    def version(self, dataset: str, night: str = NIGHTS[0]) -> Path:
        """Folder of the current version."""
        partition = self.partition(dataset, night)
        return partition / str(json.loads((partition / "current.json").read_bytes())["version"])

    @property
    def declaration(self) -> Declaration:
        return load(self.folder / "pipelines" / "bank" / "defs.yaml")

    def copied(self, folder: Path) -> "Vault":
        """The same in another folder; what is tampered with here must not reach the original."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Vault(folder)

    def read(self) -> dict[str, str]:
        """Everything that is current, read through the API: place -> digest of the plaintext; and the champion."""
        ws = Workspace.open(self.settings)
        try:
            found = dict(_current(ws))
            registry = Registry.open(ws, "bank")
            for decision in registry.history():
                found[f"decision/{decision.number}"] = _digest(json.dumps(decision.to_json()).encode())
            found["champion"] = str(registry.champion())
            return found
        finally:
            with suppress(KedgeError):
                ws.trail.close()

    def kedge(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
    ) -> tuple[int, str]:
        """Run `kedge WORDS` in this process; its exit code and what it printed."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("COLUMNS", "400")
        monkeypatch.setattr(sys, "argv", ["kedge", *words])
        with pytest.raises(SystemExit) as left:
            commands.main()
        told = capsys.readouterr()
        return int(left.value.code or 0), told.out + told.err


def _current(ws: Workspace) -> Iterator[tuple[str, str]]:
    for name in ZONES:
        dataset = ws.dataset("bank", name)
        for partition in dataset.partitions():
            version = dataset.require(partition, "")
            for file in version.manifest.files:
                whole = _frame(version.scan(file)) if file.endswith(".parquet") else version.read_bytes(file)
                yield f"{name}/{partition}/{file}", _digest(whole)


def _frame(frame: pl.LazyFrame) -> bytes:
    return frame.collect().serialize()


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()


@pytest.fixture(scope="session")
def vaults(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vault, Vault]:
    """The vault as it was after two nights, and as it is now: a champion, a night delivered anew, rotated keys."""
    vault = Vault(tmp_path_factory.mktemp("vault") / "now")
    (vault.folder / "pipelines" / "bank").mkdir(parents=True)
    declared = {"type": "pipelines.component.TrainingPipeline", "attributes": ATTRIBUTES}
    (vault.folder / "pipelines" / "bank" / "defs.yaml").write_text(json.dumps(declared))
    _stages(vault, [(NIGHTS[0], 0), (NIGHTS[1], 1)])
    _train(vault)
    before = vault.copied(vault.folder.with_name("before"))
    _stages(vault, [(NIGHTS[2], 2), (NIGHTS[1], 3)])
    _refuse(vault)
    keys.rotate(vault.settings, "bank", "open", None, Console(file=StringIO()), destroy_old=True)
    _score(vault)
    return before, vault


@pytest.fixture
def vault(vaults: tuple[Vault, Vault], tmp_path: Path) -> Vault:
    """A copy that reads well."""
    return vaults[1].copied(tmp_path / "vault")


def _stages(vault: Vault, deliveries: list[tuple[str, int]]) -> None:
    from kedge.privacy.anonymize import anonymize
    from kedge.quality.validate import validate
    from kedge.source.take import take

    ws = Workspace.open(vault.settings)
    for night, seed in deliveries:
        _deliver(vault.folder / "data" / "inbox", night, seed)
        for stage in (take, validate, anonymize):
            stage(ws, vault.declaration, night)
    ws.trail.close()


def _train(vault: Vault) -> None:
    from kedge.evaluation.evaluate import evaluate
    from kedge.registry.layout import write_model
    from kedge.registry.promote import promote
    from kedge.scoring import scorer
    from kedge.training import train
    from kedge.training.config import Config
    from kedge.training.launch import launch_local
    from kedge.training.training_set import assemble
    from resources.contest import challenger, champion

    ws, declaration = Workspace.open(vault.settings), vault.declaration
    assemble(ws, declaration, cause="asked for", trigger="person")
    with pytest.MonkeyPatch.context() as patch:
        small = partial(Config, hidden=8, embedding=2, bins=4, epochs=1, steps=4, shortest=1)
        patch.setattr(train, "Config", small)
        model = train.train(ws, declaration, launch=lambda order: launch_local(order, _silent), tracking=None).version
    found = challenger(ws, declaration), champion(ws, declaration)
    evaluate(ws, declaration, challenger=found[0], champion=found[1], score=scorer(ws, declaration))
    assert promote(ws, declaration, None).promoted
    write_model(vault.copy, {name: model.read_bytes(name) for name in model.manifest.files})
    ws.trail.close()


def _refuse(vault: Vault) -> None:
    ws = Workspace.open(vault.settings)
    registry = Registry.open(ws, "bank")
    first = registry.history()[0]
    registry.decide(replace(first, action="refuse", evaluation="another one", reason="a test"), registry.champion())
    ws.trail.close()


def _score(vault: Vault) -> None:
    from kedge.scoring import predict

    ws = Workspace.open(vault.settings)
    assert predict(ws, vault.declaration, NIGHTS[2])
    ws.trail.close()


def _silent(_: str) -> None:
    """What the training prints is of no interest here."""


def _deliver(inbox: Path, night: str, seed: int) -> None:
    random = np.random.default_rng(seed)
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
    inbox.mkdir(parents=True, exist_ok=True)
    frame.write_csv(inbox / f"{night}.csv")


Tamper = Callable[[Vault, Vault], None]
