"""kill -9, an error and a full disk at every pass of every fault point of a rotation, a destruction and an erasure's
count; then everything reads, and a rerun ends as if nothing had been.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("rotations.py")
WORKS = [("turn", "restricted"), ("turn", "audit"), ("count", "restricted")]

Ask = Callable[..., dict[str, Any]]
pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    host = subprocess.Popen([sys.executable, str(SCRIPT)], stdin=-1, stdout=-1, text=True, env=environment)

    def asked(folder: Path, do: str, **job: Any) -> dict[str, Any]:
        assert host.stdin
        assert host.stdout
        print(json.dumps({"folder": str(folder), "do": do, **job}), file=host.stdin, flush=True)
        answer: dict[str, Any] = json.loads(host.stdout.readline())
        return answer

    yield asked
    host.communicate("")


@pytest.fixture(scope="module")
def prepared(ask: Ask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "lake"
    assert ask(folder, "prepare")["code"] == 0
    return folder


def passes(ask: Ask, prepared: Path, tmp_path: Path, work: str, zone: str) -> tuple[list[tuple[str, int]], Any]:
    """Each pass of each point of undisturbed work, and what it leaves."""
    trace, folder = tmp_path / "trace", Path(shutil.copytree(prepared, tmp_path / "undisturbed"))
    assert ask(folder, work, zone=zone, fault=f"trace:{trace}")["code"] == 0
    turns: Counter[str] = Counter()
    found = []
    for point in trace.read_text().split():
        turns[point] += 1
        found.append((point, turns[point]))
    return found, ask(folder, "state")["after"]


def check_rerun(ask: Ask, folder: Path, work: str, zone: str, before: Any, after: Any) -> None:
    """In between everything reads; the rerun leaves what undisturbed work does."""
    again = ask(folder, "again", work=work, zone=zone)
    assert again["code"] == 0, again.get("said")
    for name in ("notes", "secrets", "signer"):
        assert again["between"][name] == again["after"][name] == before[name]
    assert again["after"]["living"] == after["living"] == before["living"]
    assert again["after"]["erasures"] in (after["erasures"], after["erasures"] + (work == "count"))
    assert again["after"]["temporary"] == []


@pytest.mark.parametrize(("work", "zone"), WORKS)
def test_killed_anywhere_everything_reads_and_a_rerun_ends_it(
    ask: Ask, prepared: Path, tally: Any, tmp_path: Path, work: str, zone: str
) -> None:
    before = ask(prepared, "state")["after"]
    found, after = passes(ask, prepared, tmp_path, work, zone)
    wrong = []
    for number, (point, turn) in enumerate(found):
        folder = Path(shutil.copytree(prepared, tmp_path / str(number)))
        try:
            assert ask(folder, work, zone=zone, fault=f"{point}:kill@{turn}")["killed"]
            check_rerun(ask, folder, work, zone, before, after)
        except AssertionError as error:
            wrong.append(f"{point}@{turn}: {error}")
        shutil.rmtree(folder)
    tally.points.update(point for point, _ in found)
    tally.kills += len(found)
    tally.survived += len(found) - len(wrong)
    print(
        f"\n{work} {zone}: {len({p for p, _ in found})} points, {len(found)} kills, {len(found) - len(wrong)} survived"
    )
    assert len(found) >= 15
    assert wrong == []


@pytest.mark.parametrize("kind", ["error", "full"])
@pytest.mark.parametrize(("work", "zone"), WORKS)
def test_a_disk_that_refuses_anywhere_is_a_clear_error(
    ask: Ask, prepared: Path, tmp_path: Path, work: str, zone: str, kind: str
) -> None:
    before = ask(prepared, "state")["after"]
    found, after = passes(ask, prepared, tmp_path, work, zone)
    wrong = []
    for point, turn in dict(found).items():  # the last pass of each point
        folder = Path(shutil.copytree(prepared, tmp_path / f"{point}@{turn}"))
        try:
            ended = ask(folder, work, zone=zone, fault=f"{point}:{kind}@{turn}")
            assert (ended["code"], ended.get("error")) == (1, "Transient"), ended
            assert "run it again" in ended["said"]
            assert ("No space left on device" in ended["said"]) == (kind == "full")
            check_rerun(ask, folder, work, zone, before, after)
        except AssertionError as error:
            wrong.append(f"{point}@{turn}: {error}")
        shutil.rmtree(folder)
    assert wrong == []


def test_the_points_of_rotation_destruction_and_counts_are_all_passed(ask: Ask, prepared: Path, tmp_path: Path) -> None:
    from kedge.testing import faultpoints

    ours = ("lake.rotate.", "lake.destroy.", "lake.erasures.", "keys.rewrap.", "keys.ring.")
    passed = set()
    for number, (work, zone) in enumerate(WORKS):
        (tmp_path / str(number)).mkdir()
        passed |= {point for point, _ in passes(ask, prepared, tmp_path / str(number), work, zone)[0]}
    assert {point for point in faultpoints.points() if point.startswith(ours)} <= passed
