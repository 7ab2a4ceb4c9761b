"""Two runs of one partition at once: one wins, the other says so."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import run
from kedge.lake import Draft
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.testing.bank import Bank
from kedge.workspace import Workspace
from resources.instance import instance


def test_the_run_that_comes_second_names_the_one_that_won(
    places: Settings,
    declaration: Declaration,
    bank: Bank,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    night = bank.date(1).isoformat()
    bank.write(bank.night(1), places.data / "inbox")
    write = Draft.write_frame

    def overtaken(draft: Draft, *arguments: Any) -> None:
        """Between this run's look at the pointer and its commit, another run takes the whole night in."""
        kedge = str(Path(sys.executable).parent / "kedge")
        subprocess.run([kedge, "run", declaration.name, "--partition", night], env=os.environ, check=True)
        write(draft, *arguments)

    monkeypatch.setattr(Draft, "write_frame", overtaken)
    with instance(places) as dagster:
        assert not run.nightly(dagster, declaration.name, night, Console(width=400))
        winner = next(found.run_id for found in dagster.get_runs() if found.is_success)
    told = capsys.readouterr().out
    assert "made current by" in told
    assert winner in told
    version = Workspace.open(places).dataset(declaration.name, "raw").current(night)
    assert version is not None
    assert version.id in told
