"""kill -9 at every point of the log: after a rerun everything acknowledged is there, once, and all of it agrees."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

import pytest

from kedge import durable, faults
from kedge.audit.checkpoint import read_all
from kedge.audit.log import Log
from kedge.audit.tree import Tree, leaf_hash
from kedge.audit.verify import verify
from kedge.keys import KeyRing
from kedge.testing import faultpoints

OWN = ("audit.append.", "audit.sign.", "audit.signer.", "audit.tree.")
POINTS = sorted(point for point in faultpoints.points() if point.startswith(OWN))
ENTRIES = 12


@pytest.fixture
def work(folder: Path, keys: KeyRing, tmp_path: Path) -> Callable[[str | None], int]:
    """Runs a writer in a process of its own, under a fault; its exit code.

    It goes on after the last entry that is there, writes each number that it was acknowledged into `acknowledged`, and
    signs now and then.
    """

    def write() -> None:
        log = Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys)
        done = [found["n"] for _, found in log.entries() if "n" in found]
        handle = os.open(tmp_path / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for number in range(len(done), ENTRIES):
            log.append({"n": number})
            os.write(handle, f"{number}\n".encode())
            if number % 4 == 0:
                log.sign()
        log.close()

    def run(fault: str | None) -> int:
        child = os.fork()
        if child == 0:
            code = 1
            faults._reached.clear()  # counted in the parent
            try:
                if fault is not None:
                    os.environ[faults.VARIABLE] = fault
                write()
                code = 0
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    return run


def check(folder: Path, vkey: str) -> None:
    data = (folder / "log.jsonl").read_bytes()
    lines = data.splitlines()
    assert data.endswith(b"\n")
    entries = [json.loads(line) for line in lines]
    assert [entry["n"] for entry in entries if "n" in entry] == list(range(ENTRIES)), "all of them, each once"
    assert [entry["action"] for entry in entries if "n" not in entry] == ["signer"]
    tree = Tree(folder / "naive")
    tree.append([leaf_hash(line) for line in lines])
    checkpoints = read_all(folder / "checkpoints", vkey)
    assert all(checkpoint.root == tree.root(checkpoint.size) for checkpoint in checkpoints)
    assert checkpoints[-1].size == len(lines)
    tree.flush()
    assert (folder / "tree").read_bytes() == (folder / "naive").read_bytes()
    assert not [path.name for path in folder.iterdir() if path.name.startswith(durable.TEMPORARY)]


def test_there_is_a_point_for_every_step() -> None:
    steps = {point.rpartition(".")[2] for point in POINTS if point.startswith("audit.append.")}
    assert steps == {"before", "written", "synced", "after"}
    assert {point for point in POINTS if point.startswith("audit.sign.")} == {
        "audit.sign.before",
        "audit.sign.written",
        "audit.sign.after",
    }


@pytest.mark.parametrize("turn", [1, 2, 7])
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_nothing_acknowledged_is_lost(
    work: Callable[[str | None], int], folder: Path, keys: KeyRing, tmp_path: Path, point: str, turn: int
) -> None:
    code = work(f"{point}:kill@{turn}")
    if code == 0:
        assert turn > 1, "a run passes every point once"
    else:
        assert code == -signal.SIGKILL
    path = tmp_path / "acknowledged"
    acknowledged = [int(line) for line in path.read_text().split()] if path.exists() else []
    kept = [json.loads(line) for line in (folder / "log.jsonl").read_bytes().splitlines()] if acknowledged else []
    assert set(acknowledged) <= {entry.get("n") for entry in kept}
    assert work(None) == 0
    log = Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys)
    log.close()
    check(folder, log.vkey)


def test_killed_again_and_again_it_ends_with_the_same_log(
    work: Callable[[str | None], int], folder: Path, keys: KeyRing
) -> None:
    for point, turn in zip(POINTS * 2, count(1), strict=False):
        work(f"{point}:kill@{turn % 5 + 1}")
    assert work(None) == 0
    log = Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys)
    log.close()
    check(folder, log.vkey)


def test_writers_that_are_killed_at_random_lose_nothing(folder: Path, keys: KeyRing, tmp_path: Path) -> None:
    """Three processes of three threads each; whenever one is killed another begins."""

    def write(process: int) -> None:
        log = Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys)
        handle = os.open(tmp_path / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

        def one(thread: int) -> None:
            for number in count():
                log.append({"n": [process, thread, number]})
                os.write(handle, f"{process} {thread} {number}\n".encode())

        threads = [threading.Thread(target=one, args=(thread,)) for thread in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def begin(process: int) -> int:
        child = os.fork()
        if child == 0:
            try:
                write(process)
            finally:
                os._exit(1)
        return child

    random = Random(1)
    children = [begin(process) for process in range(3)]
    for process in range(3, 10):
        time.sleep(random.uniform(0.05, 0.3))
        child = children.pop(random.randrange(3))
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        children.append(begin(process))
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    log = Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys)
    log.sign()
    log.close()
    found = [tuple(entry["n"]) for _, entry in log.entries() if "n" in entry]
    acknowledged = [tuple(map(int, line.split())) for line in (tmp_path / "acknowledged").read_text().splitlines()]
    assert acknowledged
    assert set(acknowledged) <= set(found)
    assert len(set(found)) == len(found)
    assert verify(folder, log.vkey).signed_size == log.size
