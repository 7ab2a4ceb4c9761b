"""Anchors and unusual access through the command line and through a stage of a run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets import raw
from kedge.audit.anchor import open_anchor
from kedge.settings import Settings
from kedge.spec import Declaration, load
from kedge.testing.bank import Bank
from kedge.workspace import Workspace
from resources.store import Store

KEDGE = str(Path(sys.executable).parent / "kedge")


@pytest.fixture
def worm(tmp_path: Path) -> Path:
    (tmp_path / "worm").mkdir()
    return tmp_path / "worm"


@pytest.fixture
def pipelines(places: Settings, worm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bank, with an anchor."""
    folder = tmp_path / "pipelines"
    shutil.copytree(places.pipelines / "bank", folder / "bank")
    _declare(folder, str(worm))
    monkeypatch.setenv("KEDGE_PIPELINES", str(folder))
    return folder


def _declare(pipelines: Path, anchor: str, **more: str) -> Declaration:
    path = pipelines / "bank" / "defs.yaml"
    text = path.read_text().partition("  audit: {")[0]
    settings = ", ".join([f'anchor: "{anchor}"', *(f"{key}: {value}" for key, value in more.items())])
    path.write_text(f"{text.rstrip()}\n  audit: {{{settings}}}\n")
    return load(path)


def _kedge(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "300", "NO_COLOR": "1"}
    return subprocess.run([KEDGE, *words], env=environment, capture_output=True, text=True, check=False)


def _night(declaration: Declaration, places: Settings, bank: Bank, dagster: dg.DagsterInstance) -> bool:
    bank.write(bank.night(1), places.data / "inbox")
    assets = [raw.asset(declaration)]
    done = dg.materialize(
        assets, instance=dagster, partition_key="2026-01-31", resources={"store": Store()}, raise_on_error=False
    )
    return done.success


def test_a_stage_of_a_run_is_anchored(
    pipelines: Path, places: Settings, worm: Path, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    assert _night(load(pipelines / "bank" / "defs.yaml"), places, bank, dagster)
    log = Workspace.open(places).trail.log("bank")
    [text] = open_anchor(str(worm), origin=log.origin).all()
    assert int(text.splitlines()[1]) == log.size > 2


def test_a_run_goes_on_without_its_anchor_unless_it_is_required(
    pipelines: Path, places: Settings, worm: Path, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    worm.rmdir()
    assert _night(load(pipelines / "bank" / "defs.yaml"), places, bank, dagster)
    report = worm.with_name("unusual.json")
    assert _kedge("audit", "unusual", "bank", "--json", str(report)).returncode == 0
    assert [alert["rule"] for alert in json.loads(report.read_text())] == ["anchor"]
    assert not _night(_declare(pipelines, str(worm), anchor_required="true"), places, bank, dagster)


def test_anchor_says_how_much_is_anchored_and_warns_of_the_same_disk(
    pipelines: Path, places: Settings, worm: Path
) -> None:
    with_log = Workspace.open(places).trail
    with_log.event("bank", "read", dataset="raw", partition="2026-01-31", version="v1")
    with_log.close()
    done = _kedge("audit", "anchor", "bank")
    assert done.returncode == 0, done.stderr
    assert "entries are anchored" in done.stdout
    assert "warning" in done.stdout
    assert len(open_anchor(str(worm)).all()) == 1
    assert "on the disk of KEDGE_HOME" in _kedge("check", "bank").stdout
    assert "nothing unusual" in _kedge("audit", "unusual", "bank", "--since", "2026-01-01").stdout


def test_what_is_wrong_is_one_message(pipelines: Path, places: Settings, worm: Path) -> None:
    assert "the log of a pipeline that ran" in _kedge("audit", "anchor", "bank").stderr
    assert "the log of a pipeline that ran" in _kedge("audit", "unusual", "bank").stderr
    _declare(pipelines, str(places.home / "worm"))
    for words in (["check", "bank"], ["check"]):
        done = _kedge(*words)
        assert done.returncode == 2
        assert "outside KEDGE_HOME" in done.stderr


def test_a_day_that_is_none_is_refused(pipelines: Path, places: Settings) -> None:
    (places.audit / "bank").mkdir(parents=True)
    done = _kedge("audit", "unusual", "bank", "--since", "yesterday")
    assert done.returncode == 2
    assert "2026-01-31" in done.stderr
