import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.errors import Tampered, Terminal
from kedge.settings import Settings
from kedge.workspace import ZONES, Workspace


def test_datasets_lie_in_their_zones(settings: Settings) -> None:
    workspace = Workspace.open(settings)
    for name, zone in ZONES.items():
        assert workspace.dataset("bank", name).path == settings.lake / zone / "bank" / name
    assert ZONES["raw"] == ZONES["predictions_restricted"] == "restricted"
    assert ZONES["anonymized"] == ZONES["predictions"] == "open"


def test_unknown_datasets_and_odd_names_are_refused(settings: Settings) -> None:
    workspace = Workspace.open(settings)
    with pytest.raises(Terminal, match="one of raw"):
        workspace.dataset("bank", "no_such")
    for pipeline in ("../bank", "", "a/b", "x" * 64, "bank\n"):
        with pytest.raises(Terminal, match="pipeline"):
            workspace.dataset(pipeline, "raw")
        with pytest.raises(Terminal, match="pipeline"):
            workspace.secrets(pipeline)
        with pytest.raises(Terminal, match="pipeline"):
            workspace.registry_path(pipeline)


def test_places_for_registry_and_reports(settings: Settings) -> None:
    workspace = Workspace.open(settings)
    assert workspace.registry_path("bank") == settings.registry / "bank"
    report = workspace.report_path("bank", "drift_report", "2026-01-01", "v1", ".html")
    assert report == settings.reports / "bank" / "drift_report" / "2026-01-01" / "v1.html"
    assert report.parent.is_dir()


def test_secrets_stay_the_same(settings: Settings) -> None:
    token = Workspace.open(settings).secrets("bank").token("email")
    assert Workspace.open(settings).secrets("bank").token("email") == token


def test_opening_imports_nothing_heavy(settings: Settings) -> None:
    code = (
        "import sys; from kedge.settings import Settings; from kedge.workspace import Workspace;"
        "Workspace.open(Settings.from_environment());"
        "heavy = {'torch', 'mlflow', 'evidently', 'great_expectations', 'sklearn', 'pandas', 'dagster'};"
        "print(*heavy & set(sys.modules))"
    )
    places = {"KEDGE_HOME": str(settings.home), "KEDGE_KEYS": str(settings.keys)}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **places}, cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_a_lake_that_is_gone_is_not_made_anew_beside_its_audit_trail(settings: Settings) -> None:
    workspace = Workspace.open(settings)
    workspace.trail.event("bank", "configuration")
    workspace.trail.close()
    shutil.rmtree(settings.lake)
    with pytest.raises(Tampered, match=r"lake.json: needs the lake that the audit trail tells of"):
        Workspace.open(settings)
    assert not settings.lake.exists()
    assert len(list(settings.keys.iterdir())) == 1
