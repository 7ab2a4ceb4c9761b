"""The demo, as a newcomer runs it: the whole loop through daemon and run host, with its story asserted."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kedge.testing.leaks import search

pytestmark = pytest.mark.demo


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `kedge demo --json told.json` was run."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "temporary").mkdir()
    places = {"KEDGE_DEMO": str(folder / "demo"), "TMPDIR": str(folder / "temporary")}
    command = [str(Path(sys.executable).parent / "kedge"), "demo", "--json", str(folder / "told.json")]
    subprocess.run(command, env=os.environ | places, check=True)
    return folder


@pytest.fixture(scope="module")
def told(played: Path) -> dict[str, Any]:
    """What it wrote."""
    found: dict[str, Any] = json.loads((played / "told.json").read_text())
    return found


def test_the_report_has_the_promised_keys(told: dict[str, Any]) -> None:
    assert set(told) == {"seconds", "nights", "retrains"}
    night = {"date", "rows", "quarantined", "blocked", "drifted", "champion", "auc_champion", "auc_first_champion"}
    assert all(set(one) == night for one in told["nights"])
    assert all(set(one) == {"trigger", "cause", "promoted", "reason"} for one in told["retrains"])
    assert len(told["nights"]) == 12


def test_broken_rows_are_quarantined_and_an_unknown_column_blocks_its_night_only(told: dict[str, Any]) -> None:
    quarantined = [night["quarantined"] for night in told["nights"]]
    assert 150 <= quarantined[2] <= 250
    assert sum(quarantined) == quarantined[2]
    assert [night["blocked"] for night in told["nights"]] == [number == 3 for number in range(12)]
    assert told["nights"][3]["auc_champion"] is None


def test_only_real_change_is_reported_and_only_lasting_change_retrains(told: dict[str, Any]) -> None:
    drifted = [night["drifted"] for night in told["nights"]]
    assert drifted == [False, False, False, None, False, True, True, False, False, True, True, False]
    assert [retrain["trigger"] for retrain in told["retrains"]] == ["command", "sensor", "sensor"]
    assert told["retrains"][0]["cause"] == "no champion"
    assert [retrain["cause"].split(":")[1] for retrain in told["retrains"][1:]] == ["2026-02-05", "2026-02-09"]


def test_the_better_model_is_promoted_and_the_mis_joined_one_refused(told: dict[str, Any]) -> None:
    assert [retrain["promoted"] for retrain in told["retrains"]] == [True, True, False]
    assert "gate not met: auc" in told["retrains"][2]["reason"]
    champions = [night["champion"] for night in told["nights"] if night["champion"]]
    assert sum(one != other for one, other in pairwise(champions)) == 1


def test_on_the_last_night_the_champion_is_better_than_the_first_one(told: dict[str, Any]) -> None:
    last = told["nights"][-1]
    assert last["auc_champion"] > last["auc_first_champion"] + 0.1
    assert last["auc_champion"] > 0.8


def test_nobody_is_found_outside_the_lake(played: Path) -> None:
    inbox = played / "demo" / "data"
    nights = [pl.read_csv(path, infer_schema=False) for path in sorted(inbox.rglob("*.csv"))]
    assert len(nights) == 42
    # not the ids: C0030091 occurs by chance in the hexadecimal digests that Dagster's database is full of
    people = pl.concat([night.select("email", "phone") for night in nights])
    values = [value for column in people.iter_columns() for value in column.drop_nulls().unique() if len(value) >= 6]
    assert len(values) > 50_000
    assert {hit.index for hit in search(values, inbox)} == set(range(len(values))), "what is there is found"
    assert search(values, played / "demo" / "home", played / "demo" / "keys", played / "temporary") == []
