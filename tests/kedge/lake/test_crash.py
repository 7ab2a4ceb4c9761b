"""kill -9 and disk errors at every fault point; two writers in two processes."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge import durable, faults
from kedge.errors import Conflict, KedgeError, Transient
from kedge.lake import Lake

SCRIPT = Path(__file__).with_name("nights.py")
ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("nights", SCRIPT)
assert _spec
assert _spec.loader
nights = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nights)

POINTS = sorted(point for point in faults.points() if point.startswith(("lake.", "keys.")))
CREATION = {point for point in POINTS if point.startswith(("lake.create.", "keys.ring.", "keys.unlock."))}
ELSEWHERE = (
    *("lake.rotate.", "lake.destroy.", "lake.erasures.", "keys.rewrap."),  # tests/faults/test_rotation.py
    *("keys.kms.", "keys.note."),  # tests/kedge/keys/test_kms.py
)
COMMITS = [point for point in POINTS if point not in CREATION and not point.startswith(ELSEWHERE)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    nights.prepare(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return list(nights.run(copied(prepared, tmp_path_factory.mktemp("undisturbed"))))


def copied(prepared: Path, folder: Path) -> Path:
    return Path(shutil.copytree(prepared, folder / "copy"))


def kill_at(folders: dict[str, Path]) -> dict[str, int]:
    """Run the nights in each folder, killed at its point; the exit codes by point."""
    command = [sys.executable, str(SCRIPT), *(f"{point}={folder}" for point, folder in folders.items())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    return {point: int(code) for point, code in (line.split() for line in done.stdout.splitlines())}


def leftovers(folder: Path) -> Iterator[Path]:
    return folder.rglob(f"{durable.TEMPORARY}*")


def test_the_points_are_enumerated() -> None:
    assert len(COMMITS) >= 15
    assert {"lake.write.before", "lake.swap.before", "lake.swap.after", "lake.place.aside"} <= set(COMMITS)


def test_kill_at_each_point_then_rerun(prepared: Path, undisturbed: list[str], tmp_path: Path) -> None:
    folders = {point: copied(prepared, tmp_path / point) for point in COMMITS}
    assert kill_at(folders) == dict.fromkeys(COMMITS, -signal.SIGKILL)
    for point, folder in folders.items():
        half = Lake.open(folder / "lake", folder / "keys").dataset("restricted", "bank", "raw")
        for partition in half.partitions():
            current = half.current(partition)
            assert current
            current.check_whole()
        assert nights.run(folder) == undisturbed, point
        assert list(leftovers(folder)) == [], point


@pytest.mark.parametrize("point", COMMITS)
def test_an_error_at_each_point_then_rerun(
    prepared: Path, undisturbed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    folder = copied(prepared, tmp_path)
    monkeypatch.setenv("KEDGE_FAULT", f"{point}:error")
    with pytest.raises((KedgeError, OSError)):
        nights.run(folder)
    monkeypatch.delenv("KEDGE_FAULT")
    assert nights.run(folder) == undisturbed
    assert list(leftovers(folder)) == []


def test_kill_while_the_lake_is_made_then_rerun(tmp_path: Path) -> None:
    folders = {point: tmp_path / point for point in sorted(CREATION)}
    assert set(kill_at(folders).values()) == {-signal.SIGKILL}
    for folder in folders.values():
        assert len(nights.run(folder)) == 3
        assert list(leftovers(folder / "lake")) == []


def test_two_processes_one_partition(prepared: Path, tmp_path: Path) -> None:
    """Both hold the same predecessor when they commit; one wins and the other says who."""
    folder = copied(prepared, tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import nights; from pathlib import Path;"
        "from kedge.lake import Lake, Draft, produce; from kedge.outcome import Findings;"
        "lake = Lake.open(Path(sys.argv[1], 'lake'), Path(sys.argv[1], 'keys'), run=sys.argv[2]);\n"
        "def write(draft):\n"
        "    draft.write_bytes(b'x', 'x.txt'); print('ready', flush=True); sys.stdin.readline(); return Findings()\n"
        "dataset = lake.dataset('restricted', 'bank', 'raw')\n"
        "try:\n"
        "    produce(dataset, nights.FRESH, inputs={'delivery': 'same'}, declared={}, code=1, write=write)\n"
        "    print('won', flush=True)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error, flush=True)\n"
    )
    started = []
    for run in ("run-a", "run-b"):
        command = [sys.executable, "-c", code, str(folder), run]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=environment))
    for running in started:
        assert running.stdout
        assert running.stdout.readline() == "ready\n"
    answers = [running.communicate("go\n")[0].strip() for running in started]
    assert answers[0] == "won"
    assert answers[1].startswith(Conflict.__name__)
    assert "made current by run run-a" in answers[1]
    assert list(leftovers(folder)) == []


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import nights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (100, 600, 1_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        nights.run(Path(sys.argv[1]))
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_a_full_disk_is_a_clear_error_and_harms_nothing(prepared: Path, undisturbed: list[str], tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that is full at different moments."""
    folder = copied(prepared, tmp_path)
    command = [sys.executable, "-c", FULL, str(folder), str(SCRIPT.parent)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert [line.split()[0] for line in told] == [Transient.__name__] * 3
    assert all("File too large" in line and "what was there before is unharmed" in line for line in told)
    assert nights.run(folder) == undisturbed
