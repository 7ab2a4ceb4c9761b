"""The erasure counter: a restored backup and an older key ring are refused, a cut-off count is not."""

import json
import shutil
from pathlib import Path

import pytest

from kedge import faults
from kedge.errors import KedgeError, Tampered
from kedge.exitcode import exit_code
from kedge.lake import Lake
from kedge.lake.erasure import RestoredLake

AHEAD = [f"lake.erasures.{step}" for step in ("before", "opened", "written", "renamed", "after")]


def reopened(tmp_path: Path, root: str = "home/lake") -> Lake:
    return Lake.open(tmp_path / root, tmp_path / "keys")


def counter(lake: Lake) -> Path:
    return lake.root / "restricted" / "bank" / "erasures.json"


@pytest.fixture
def used(lake: Lake) -> Lake:
    lake.secrets("bank")
    return lake


def test_both_sides_count_and_each_pipeline_for_itself(used: Lake, tmp_path: Path) -> None:
    assert not counter(used).exists()
    assert [used.count_erasure("bank") for _ in range(3)] == [1, 2, 3]
    assert used.keys.erasures("bank") == 3
    assert used.count_erasure("shop") == 1
    assert reopened(tmp_path).secrets("bank").digest == used.secrets("bank").digest
    assert counter(used).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("counted_before", [0, 2])
def test_a_restored_backup_is_refused(used: Lake, tmp_path: Path, counted_before: int) -> None:
    for _ in range(counted_before):
        used.count_erasure("bank")
    shutil.copytree(used.root, tmp_path / "backup")
    assert reopened(tmp_path, "backup").secrets("bank"), "as long as nobody is erased it is as good as the lake"
    used.count_erasure("bank")
    restored = reopened(tmp_path, "backup")
    told = rf"counts {counted_before + 1} erasures.*counts {counted_before}: a backup made before people were erased"
    for use in (restored.secrets, restored.count_erasure, restored.dataset("open", "bank", "model").lake.secrets):
        with pytest.raises(RestoredLake, match=told) as caught:
            use("bank")
        assert exit_code(caught.value) == 30
    assert used.keys.erasures("bank") == counted_before + 1, "a refused lake does not count on"


def test_an_older_ring_is_refused(used: Lake, tmp_path: Path) -> None:
    used.count_erasure("bank")
    ring = tmp_path / "keys" / used.id / "ring.json"
    older = ring.read_bytes()
    used.count_erasure("bank")
    ring.write_bytes(older)
    with pytest.raises(Tampered, match=r"counts 2 erasures.*counts 1: an older copy of the key ring") as caught:
        reopened(tmp_path).secrets("bank")
    assert exit_code(caught.value) == 26


@pytest.mark.parametrize("what", ["", "[]", "{}", "count", "another pipeline"])
def test_an_edited_counter_is_refused(used: Lake, tmp_path: Path, what: str) -> None:
    used.count_erasure("bank")
    path = counter(used)
    if what == "count":
        path.write_text(json.dumps({**json.loads(path.read_text()), "count": 7}))
    elif what == "another pipeline":
        used.count_erasure("shop")
        path.write_bytes((path.parents[1] / "shop" / path.name).read_bytes())
    else:
        path.write_text(what)
    with pytest.raises(Tampered, match=r"restricted/bank/erasures\.json") as caught:
        reopened(tmp_path).secrets("bank")
    assert exit_code(caught.value) == 30


@pytest.mark.parametrize("kind", ["error", "full"])
@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("point", AHEAD)
def test_a_count_that_fails_leaves_the_lake_usable(
    used: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, turn: int, kind: str
) -> None:
    used.count_erasure("bank")
    monkeypatch.setattr(faults, "_reached", type(faults._reached)())
    monkeypatch.setenv("KEDGE_FAULT", f"{point}:{kind}@{turn}")
    with pytest.raises(KedgeError, match="run it again"):
        used.count_erasure("bank")
    monkeypatch.delenv("KEDGE_FAULT")
    assert used.keys.erasures("bank") == turn
    assert reopened(tmp_path).secrets("bank").digest
    assert reopened(tmp_path).count_erasure("bank") == turn + 1
    assert reopened(tmp_path).secrets("bank").digest


def test_a_copy_of_a_count_that_was_cut_off_is_refused_after_the_next(
    used: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "_reached", type(faults._reached)())
    monkeypatch.setenv("KEDGE_FAULT", "lake.erasures.before:error@2")
    with pytest.raises(KedgeError):
        used.count_erasure("bank")
    monkeypatch.delenv("KEDGE_FAULT")
    shutil.copytree(used.root, tmp_path / "backup")
    assert reopened(tmp_path, "backup").secrets("bank").digest, "of the erasure that is counted nothing is left in it"
    used.count_erasure("bank")
    with pytest.raises(RestoredLake, match="a backup made before"):
        reopened(tmp_path, "backup").secrets("bank")
