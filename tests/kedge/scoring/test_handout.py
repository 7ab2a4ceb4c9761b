"""What the business gets: the subject's own identifier and the score, safe to open."""

import csv
import fcntl
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kedge.errors import Conflict, Terminal
from kedge.scoring import hand_out, predict


@pytest.fixture
def night(bank: Any) -> str:
    rows = pl.DataFrame({"customer": ['=cmd|"/c calc"!A1', "+1", "-1", "@x", "\tx", "C1,2", 'C"3', "C4"] * 70})
    frame = _frame(len(rows)).with_columns(rows["customer"] + pl.Series([str(i) for i in range(len(rows))]))
    partition = str(bank.night(2, frame=frame))
    predict(bank.ws, bank.declaration, partition)
    return partition


def _frame(rows: int) -> pl.DataFrame:
    from datetime import date

    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": ["x"] * rows,
            "born": [date(1960, 1, 1)] * rows,
            "balance": [float(i % 7) for i in range(rows)],
            "plan": ["plus"] * rows,
            "left": [i % 3 == 0 for i in range(rows)],
        }
    )


def test_csv_holds_subject_and_score_and_nothing_a_spreadsheet_would_run(bank: Any, night: str, tmp_path: Path) -> None:
    out = tmp_path / "predictions.csv"
    assert hand_out(bank.ws, bank.declaration, night, out) == 560
    with out.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["customer", "score"]
    assert len(rows) == 561
    assert [row[0] for row in rows[1:9]] == [
        '\'=cmd|"/c calc"!A10', "'+11", "'-12", "'@x3", "'\tx4", "C1,25", 'C"36', "C47",
    ]  # fmt: skip
    assert all(0 <= float(row[1]) <= 1 for row in rows[1:])
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.glob(".predictions*")] == []


def test_parquet_holds_the_values_as_they_are(bank: Any, night: str, tmp_path: Path) -> None:
    out = tmp_path / "predictions.parquet"
    hand_out(bank.ws, bank.declaration, night, out)
    found = pl.read_parquet(out)
    assert found.columns == ["customer", "score"]
    assert found["customer"][1] == "+11"


def test_without_a_subject_all_validated_columns_say_which_row_is_meant(
    small_bank: Any, crown_one: Callable[[Any, list[str]], None], tmp_path: Path
) -> None:
    bank = small_bank
    bank.declare({"customer": {"type": "string", "privacy": "token"}})
    nights = bank.nights(3, 4)
    crown_one(bank, nights)
    predict(bank.ws, bank.declaration, nights[0])
    out = tmp_path / "predictions.csv"
    assert hand_out(bank.ws, bank.declaration, nights[0], out) == 500
    assert out.read_text().splitlines()[0] == "customer,born,balance,plan,left,score"


@pytest.mark.parametrize(
    ("out", "need"),
    [("predictions.xlsx", "csv or .parquet"), ("home/predictions.csv", "outside KEDGE_HOME"), ("no/p.csv", "folder")],
)
def test_places_that_are_refused(bank: Any, night: str, tmp_path: Path, out: str, need: str) -> None:
    with pytest.raises(Terminal, match=need):
        hand_out(bank.ws, bank.declaration, night, tmp_path / out)


def test_a_night_that_was_not_scored_is_an_error_that_says_what_to_run(bank: Any, tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="kedge run bank --partition 2026-01-09"):
        hand_out(bank.ws, bank.declaration, "2026-01-09", tmp_path / "p.csv")


KILLED = """
import sys
from pathlib import Path
from kedge.scoring import hand_out
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace
sys.path.insert(0, sys.argv[1])
from conftest import ATTRIBUTES
ws = Workspace.open(Settings.from_environment())
hand_out(ws, Declaration.named("bank", ATTRIBUTES), sys.argv[2], Path(sys.argv[3]))
"""


@pytest.mark.parametrize("step", ["before", "opened", "written", "after"])
def test_killed_anywhere_the_file_is_old_or_new_and_the_next_one_removes_what_was_left(
    bank: Any, night: str, tmp_path: Path, step: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "scores.csv"
    out.write_bytes(b"old")
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parents[1]), night, str(out)]
    killed = subprocess.run(command, env={**os.environ, "KEDGE_FAULT": f"scoring.handout.{step}:kill"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    found = out.read_bytes()
    assert (found == b"old") == (step != "after")
    hand_out(bank.ws, bank.declaration, night, out)
    assert [entry.name for entry in folder.iterdir()] == ["scores.csv"]
    assert step != "after" or out.read_bytes() == found


def test_a_hand_out_that_is_being_written_is_a_conflict(bank: Any, night: str, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    with (tmp_path / ".scores.csv.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another process that writes it"):
            hand_out(bank.ws, bank.declaration, night, out)
    assert not out.exists()
