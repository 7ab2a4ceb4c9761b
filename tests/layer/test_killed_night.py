"""kill -9 between write and swap, then a rerun: version ids and content digests of an undisturbed night.

The stages run as a process of their own, without Dagster, which adds nothing to what is stored.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.testing.bank import Bank
from kedge.workspace import Workspace

STAGES = {"take": set(), "validate": {"raw"}, "anonymize": {"raw", "quarantine", "validated"}}
"""Stage -> what is stored when it is killed at its first swap, every stage before it having gone well."""
NIGHT = """
import os, sys
from kedge.privacy.anonymize import anonymize
from kedge.quality.validate import validate
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import load
from kedge.workspace import Workspace

settings = Settings.from_environment()
declaration = load(settings.pipelines / "bank" / "defs.yaml")
for stage in (take, validate, anonymize):
    if stage.__name__ == sys.argv[2]:
        os.environ["KEDGE_FAULT"] = "lake.swap.before:kill"
    stage(Workspace.open(settings), declaration, sys.argv[1])
"""
DATASETS = ("raw", "quarantine", "validated", "anonymized")


def _run(settings: Settings, night: str, killed_in: str = "") -> int:
    places = {"HOME": settings.home, "KEYS": settings.keys, "DATA": settings.data, "PIPELINES": settings.pipelines}
    environment = os.environ | {f"KEDGE_{name}": str(place) for name, place in places.items()}
    command = [sys.executable, "-c", NIGHT, night, killed_in]
    return subprocess.run(command, env=environment, check=False).returncode


def _stored(settings: Settings, night: str) -> dict[str, tuple[str, str]]:
    workspace = Workspace.open(settings)
    found = {name: workspace.dataset("bank", name).current(night) for name in DATASETS}
    return {name: (v.id, v.manifest.content_digest) for name, v in found.items() if v is not None}


@pytest.fixture
def undisturbed(settings: Settings, declaration: Declaration, bank: Bank, tmp_path: Path) -> Settings:
    """The same lake (its secrets enter every digest), where nothing goes wrong."""
    Workspace.open(settings).secrets(declaration.name).token("customer_id")
    bank.write(bank.night(3), settings.data / "inbox")
    shutil.copytree(settings.home, tmp_path / "other")
    return Settings.from_environment(
        {
            "KEDGE_HOME": str(tmp_path / "other"),
            "KEDGE_KEYS": str(settings.keys),
            "KEDGE_DATA": str(settings.data),
            "KEDGE_PIPELINES": str(settings.pipelines),
        }
    )


def test_a_night_killed_in_every_stage_ends_as_an_undisturbed_one(settings: Settings, undisturbed: Settings) -> None:
    night = "2026-02-02"
    for stage, before in STAGES.items():
        assert _run(settings, night, killed_in=stage) == -signal.SIGKILL
        assert set(_stored(settings, night)) == before
    assert _run(settings, night) == 0
    assert _run(undisturbed, night) == 0
    assert _stored(settings, night) == _stored(undisturbed, night)
    assert set(_stored(settings, night)) == set(DATASETS)
