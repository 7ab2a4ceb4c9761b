"""One lease, held by real processes that are really killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kedge.errors import Terminal, Transient
from kedge.leases import Sight, drop, hold, lease, look, names

HOLDER = """
import sys, time
from pathlib import Path
from kedge.leases import hold
with hold(Path(sys.argv[1]), "run-1"):
    print("held", flush=True)
    time.sleep(60)
"""


def _holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert process.stdout is not None
    process.stdout.close()


def test_a_killed_process_holds_nothing_a_living_one_does_and_an_ended_one_leaves_nothing(tmp_path: Path) -> None:
    assert look(tmp_path, "run-1") == Sight("none")
    process = _holder(tmp_path)
    assert look(tmp_path, "run-1").state == "held"
    _killed(process)
    assert look(tmp_path, "run-1").state == "free"
    with hold(tmp_path, "run-1"):
        assert names(tmp_path) == ["run-1"]
    assert look(tmp_path, "run-1") == Sight("none")
    assert names(tmp_path) == []


def test_who_finds_it_held_works_on_without_one_and_takes_nothing_away(tmp_path: Path) -> None:
    process = _holder(tmp_path)
    with hold(tmp_path, "run-1"):
        assert look(tmp_path, "run-1").state == "held"
    drop(tmp_path, "run-1")
    assert look(tmp_path, "run-1").state == "held"
    _killed(process)
    drop(tmp_path, "run-1")
    assert look(tmp_path, "run-1") == Sight("none")


def test_a_stage_inside_a_run_asks_for_no_second_lease(tmp_path: Path) -> None:
    with hold(tmp_path, "run-1"):
        with hold(tmp_path, "run-1"):
            assert names(tmp_path) == ["run-1"]
        assert look(tmp_path, "run-1").state == "held"


def test_it_beats_and_a_look_from_another_kernel_sees_the_beat_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    with hold(tmp_path, "run-1"):
        monkeypatch.setattr(lease, "boot", lambda: "another kernel")
        first = look(tmp_path, "run-1")
        deadline = time.monotonic() + 10
        while look(tmp_path, "run-1") == first and time.monotonic() < deadline:
            time.sleep(0.01)
        last = look(tmp_path, "run-1")
        assert (first.state, last.state) == ("distant", "distant")
        assert first.token != last.token


def test_what_is_no_lease_is_never_taken_for_a_living_or_a_dead_one(tmp_path: Path) -> None:
    (tmp_path / "run-1").write_bytes(b"\xff\x00 torn")
    assert look(tmp_path, "run-1").state == "distant"
    (tmp_path / "run-2").symlink_to(tmp_path / "run-1")
    with pytest.raises(OSError, match="symbolic links"):
        look(tmp_path, "run-2")


@pytest.mark.parametrize("run", ["", "../run", ".lock", "a/b", "x" * 101, "a\nb"])
def test_a_name_that_is_none_of_a_run_is_refused(tmp_path: Path, run: str) -> None:
    with pytest.raises(Terminal, match="run id"), hold(tmp_path, run):
        pass


def test_a_full_disk_is_told_and_leaves_no_half_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(lease, "_write", full)
    with pytest.raises(Transient, match="Free some space"), hold(tmp_path, "run-1"):
        pass
    assert names(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
