"""Reading the log for unusual access: what is new, each once, whatever happens to the memory."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kedge.audit import access
from kedge.audit.access import MEMORY, every, look
from kedge.errors import Tampered
from kedge.spec import Declaration
from kedge.spec.audit import RULES
from kedge.testing.accesses import Trail

ATTRIBUTES: dict[str, Any] = {
    "partitions": {"start": "2024-01-01", "timezone": "Europe/Berlin"},
    "source": {"files": "{date}.csv"},
    "columns": {"amount": {"type": "float"}, "left": {"type": "bool", "role": "target"}},
}


@pytest.fixture
def declaration() -> Declaration:
    return Declaration.named("bank", ATTRIBUTES)


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    trail = Trail(11, days=170)
    for rule in RULES:
        trail.plant(rule, day=150)
    return [json.dumps(entry, sort_keys=True, separators=(",", ":")).encode() + b"\n" for _, entry in trail.entries()]


@pytest.fixture
def write(tmp_path: Path, lines: list[bytes]) -> Callable[..., Path]:
    """The folder `bank` with the first lines of the log."""

    def written(count: int | None = None, tail: bytes = b"") -> Path:
        folder = tmp_path / "bank"
        folder.mkdir(exist_ok=True)
        (folder / "log.jsonl").write_bytes(b"".join(lines[:count]) + tail)
        return folder

    return written


def test_a_pipeline_without_a_log_has_nothing_unusual(tmp_path: Path, declaration: Declaration) -> None:
    assert look(tmp_path, declaration, 0) == access.Look((), 0, False)
    assert list(every(tmp_path, declaration)) == []
    assert list(tmp_path.iterdir()) == []


def test_looks_at_what_is_new_tell_together_what_one_look_tells(
    write: Callable[..., Path], declaration: Declaration, lines: list[bytes]
) -> None:
    found, since = [], 0
    for count in [*range(0, len(lines), 997), len(lines)]:
        seen = look(write(count, b'{"half a li'), declaration, since)
        found += seen.alerts
        assert seen.entry == count
        since = seen.entry
    assert found == list(every(write(), declaration))
    assert {alert.rule for alert in found} == set(RULES)


def test_a_look_takes_so_many_entries_and_says_that_there_are_more(
    write: Callable[..., Path], declaration: Declaration, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "AT_ONCE", 1_000)
    folder, found, since, more = write(), [], 0, True
    while more:
        seen = look(folder, declaration, since)
        assert seen.entry - since <= 1_000
        found, since, more = [*found, *seen.alerts], seen.entry, seen.more
    assert since == len(lines)
    assert found == list(every(folder, declaration))


@pytest.mark.parametrize("memory", [None, "", "{}", '{"format": 99, "entry": 5}'])
def test_a_lost_memory_is_made_again_and_nothing_is_told_twice(
    write: Callable[..., Path], declaration: Declaration, lines: list[bytes], memory: str | None
) -> None:
    half = len(lines) // 2
    before = look(write(half), declaration, 0)
    (write() / MEMORY).unlink() if memory is None else (write() / MEMORY).write_text(memory)
    after = look(write(), declaration, before.entry)
    assert [*before.alerts, *after.alerts] == list(every(write(), declaration))


def test_alerts_that_were_found_and_not_told_are_found_again(
    write: Callable[..., Path], declaration: Declaration
) -> None:
    first = look(write(), declaration, 0)
    assert first.alerts
    assert look(write(), declaration, 0) == first


def test_an_old_entry_is_told_by_its_day(write: Callable[..., Path], declaration: Declaration) -> None:
    all_of_them = list(every(write(), declaration))
    late = list(every(write(), declaration, since=date(2024, 5, 30)))
    assert len(late) > 0
    assert late == [alert for alert in all_of_them if alert.day >= "2024-05-30"]


def test_a_log_that_is_shorter_than_it_was_is_told(write: Callable[..., Path], declaration: Declaration) -> None:
    seen = look(write(), declaration, 0)
    with pytest.raises(Tampered, match="kedge audit verify bank") as raised:
        look(write(100), declaration, seen.entry)
    assert raised.value.part == "log"


@pytest.mark.parametrize("line", [b"[]\n", b"{}\n", b"not json\n", b"\xff\xfe\n", b'{"phase":"event","time":"soon"}\n'])
def test_a_line_that_is_no_entry_is_named_and_not_quoted(
    write: Callable[..., Path], declaration: Declaration, line: bytes
) -> None:
    with pytest.raises(Tampered, match="an entry as number 10") as raised:
        look(write(10, line), declaration, 0)
    assert "soon" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_memory_holds_no_partition_and_no_version(write: Callable[..., Path], declaration: Declaration) -> None:
    folder = write()
    look(folder, declaration, 0)
    memory = json.loads((folder / MEMORY).read_text())
    assert set(memory) == {"format", "entry", "offset", "watch"}
    assert "validated" not in json.dumps(memory)
