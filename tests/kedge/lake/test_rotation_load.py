"""Rotation under load: two processes write, two read, and the keys are rotated and destroyed all the while."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kedge.keys import KeyGone
from kedge.lake import Lake, Version
from kedge.lake.rotation import destroy, rotate

SCRIPT = Path(__file__).with_name("busy.py")
ROOT = Path(__file__).parents[3]
_spec = importlib.util.spec_from_file_location("busy", SCRIPT)
assert _spec
assert _spec.loader
busy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(busy)

SECONDS = 15


def started(role: str, folder: Path, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), role, str(folder), str(number)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, env=environment)


def turned(lake: Lake) -> int:
    """Rotate both zones and destroy every older key; how many files were wrapped anew."""
    wrapped = 0
    for zone in ("restricted", "open"):
        rotation = rotate(lake, "bank", zone)
        wrapped += rotation.rewrapped
        for kek in lake.keys.keys("bank"):
            if kek.zone == zone and not kek.current and not kek.destroyed:
                destroy(lake, "bank", zone, kek.id)
    return wrapped


def every_version(folder: Path) -> list[Version]:
    paths = [(dataset, path) for dataset in busy.datasets(folder) for path in sorted(dataset.path.glob("*/v*"))]
    return [dataset.version(path.parent.name, path.name) for dataset, path in paths]


def test_runs_and_reads_go_on_and_a_backup_from_before_does_not_read(tmp_path: Path) -> None:
    for dataset in busy.datasets(tmp_path):
        for day in busy.days(0):
            busy.put(dataset, day, "delivery first")
    backup = tmp_path / "backup"
    shutil.copytree(tmp_path / "lake", backup / "lake")
    (backup / "keys").symlink_to(tmp_path / "keys")
    before = every_version(backup)
    assert [version.scan().collect().height for version in before] == [busy.ROWS] * 2 * busy.DAYS

    working = [started(role, tmp_path, number) for role in ("write", "read") for number in range(2)]
    try:
        for process in working:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        lake, turns, wrapped = Lake.open(tmp_path / "lake", tmp_path / "keys"), 0, 0
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            wrapped += turned(lake)
            turns += 1
        said = [process.communicate("stop\n", timeout=60) for process in working]
    finally:
        for process in working:
            process.kill()
            process.wait()
    assert [(process.returncode, errors) for process, (_, errors) in zip(working, said, strict=True)] == [(0, "")] * 4
    done = [json.loads(answer) for answer, _ in said]
    print(f"\n{turns} rotations of both zones, {wrapped} files wrapped anew; {done}")
    assert turns >= 5
    assert all(sum(did.values()) >= 20 for did in done)

    turned(lake)
    versions = every_version(tmp_path)
    assert len(versions) >= 30
    assert {version.scan().collect().height for version in versions} == {busy.ROWS}
    assert len([kek for kek in lake.keys.keys("bank") if not kek.destroyed]) == 2
    for version in (*before, *every_version(backup)):
        with pytest.raises(KeyGone, match=r"destroyed at .* What it wrapped is gone for good"):
            version.scan()
    with pytest.raises(KeyGone, match="destroyed at"):
        Lake.open(backup / "lake", tmp_path / "keys").secrets("bank")
