"""Entries chosen by facts that name nobody."""

import json
from pathlib import Path
from typing import Any

import pytest

from kedge.audit.select import Choice, select
from kedge.errors import Tampered, Terminal


def entry(number: int, action: str, phase: str, **facts: Any) -> dict[str, Any]:
    time = f"2026-01-0{1 + number // 3}T0{number}:30:00.000Z"
    return {"time": time, "action": action, "phase": phase, "run": f"run{number // 3}", **facts}


RAW = {"dataset": "raw", "partition": "2026-01-01", "version": "vaa11"}
VALIDATED = {"dataset": "validated", "partition": "2026-01-02", "version": "vbb22"}
ENTRIES = [
    entry(0, "configuration", "event"),
    entry(1, "commit", "intent", **RAW),
    entry(2, "commit", "outcome", **RAW, of=1, result="done"),
    entry(3, "read", "event", **RAW),
    entry(4, "commit", "intent", **VALIDATED),
    entry(5, "train", "intent"),
    entry(6, "commit", "outcome", of=4, result="failed"),
    entry(7, "train", "outcome", of=5, result="done"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in ENTRIES) + '{"unfinished')
    return tmp_path


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"action": "read"}, [3]),
        ({"action": "train"}, [5, 7]),
        ({"dataset": "raw"}, [1, 2, 3]),
        ({"dataset": "validated"}, [4, 6]),
        ({"partition": "2026-01-02"}, [4, 6]),
        ({"version": "vaa"}, [1, 2, 3]),
        ({"version": "vbb22"}, [4, 6]),
        ({"run": "run2"}, [6, 7]),
        ({"since": "2026-01-03"}, [6, 7]),
        ({"since": "2026-01-02T04:30", "action": "commit"}, [4, 6]),
        ({"until": "2026-01-01"}, [0, 1, 2]),
        ({"until": "2026-01-01T01"}, [0, 1, 2]),
        ({"since": "2026-01-01T02:30:00", "until": "2026-01-02T03:30:00"}, [2, 3]),
        ({"action": "commit", "dataset": "labels"}, []),
    ],
)
def test_entries_that_fit_and_the_outcomes_of_intents(folder: Path, choice: dict[str, str], numbers: list[int]) -> None:
    found = list(select(folder, Choice(**choice)))
    assert [number for number, _ in found] == numbers
    assert all(one == ENTRIES[number] for number, one in found)


@pytest.mark.parametrize("moment", ["yesterday", "2026", "2026-1-1", "2026-01-01 10:00", "2026-01-01T10:00Z"])
def test_a_moment_is_written_in_one_way(moment: str) -> None:
    with pytest.raises(Terminal, match="--until: needs a day or a time"):
        Choice(until=moment)


def test_a_line_that_is_no_entry_is_named(folder: Path) -> None:
    (folder / "log.jsonl").write_text('{"time": "2026-01-01"}\n[]\n')
    with pytest.raises(Tampered, match="an entry as number 1") as caught:
        list(select(folder, Choice()))
    assert caught.value.part == "log"


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="needs a log"):
        list(select(tmp_path, Choice()))
