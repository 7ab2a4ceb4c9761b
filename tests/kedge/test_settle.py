"""What a killed process left open gets exactly one outcome, and a true one."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commands import keys
from kedge import durable, faults
from kedge.errors import Conflict, Tampered
from kedge.lake import Draft, Outcome, Version, commit, produce, rotation
from kedge.outcome import Check, Findings
from kedge.registry.decision import Decision
from kedge.registry.store import Registry
from kedge.settings import Settings
from kedge.settle import Tail, settle
from kedge.workspace import Workspace

NIGHT = "2026-01-01"


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    """A workspace with a first version of a night."""
    workspace = Workspace.open(settings)
    store(workspace, "d1")
    return workspace


def store(
    ws: Workspace,
    delivery: str,
    night: str = NIGHT,
    *,
    dataset: str = "raw",
    passed: bool = True,
    meanwhile: Callable[[], object] = int,
) -> Outcome:
    def write(draft: Draft) -> Findings:
        draft.write_bytes(delivery.encode(), "report.html")
        meanwhile()
        return Findings(checks=(Check(name="contract", passed=passed),))

    return produce(
        ws.dataset("bank", dataset), night, inputs={"delivery": delivery}, declared={"columns": {}}, code=1, write=write
    )


def killed(fault: str, act: Callable[[], object]) -> None:
    """Do it in a forked process that is killed at the fault."""
    child = os.fork()
    if child == 0:
        try:
            os.environ[faults.VARIABLE] = fault
            act()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, f"{fault} was not reached"


def entries(ws: Workspace) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ws.settings.audit / "bank" / "log.jsonl").read_text().splitlines()]


def recovered(ws: Workspace) -> list[str]:
    """Results of the outcomes that were written for others; each intent must have exactly one outcome."""
    log = entries(ws)
    outcomes = Counter(entry["of"] for entry in log if entry["phase"] == "outcome")
    assert outcomes == Counter(number for number, entry in enumerate(log) if entry["phase"] == "intent")
    return [entry["result"] for entry in log if entry.get("recovered")]


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        ("lake.place.before:kill", "failed"),
        ("lake.place.renamed:kill", "failed"),
        ("lake.swap.written:kill", "failed"),
        ("lake.swap.renamed:kill", "done"),
        ("lake.swap.after:kill", "done"),
        ("audit.append.written:kill@1", "failed"),  # of the intent
        ("audit.append.before:kill@3", "done"),  # of the outcome: opening the files passes it too
    ],
)
def test_a_commit_that_was_cut_off_ends_as_the_pointer_says(ws: Workspace, fault: str, result: str) -> None:
    ws.trail.log("bank")
    killed(fault, lambda: store(ws, "d2"))
    current = ws.dataset("bank", "raw").current(NIGHT)
    assert settle(ws, "bank") == 1
    assert recovered(ws) == [result]
    last = entries(ws)[-1]
    assert (current is not None and current.id == last["version"]) == (result == "done")
    assert settle(ws, "bank") == 0
    assert store(ws, "d2").released
    assert settle(ws, "bank") == 0
    assert recovered(ws) == [result]


def _passes(trace: Path, act: Callable[[], object]) -> list[str]:
    """A fault for each pass of each point."""
    child = os.fork()
    if child == 0:
        os.environ[faults.VARIABLE] = f"trace:{trace}"
        act()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    turns: Counter[str] = Counter()
    found = []
    for point in trace.read_text().split():
        turns[point] += 1
        found.append(f"{point}:kill@{turns[point]}")
    return found


def test_killed_at_each_point_of_the_log_no_success_is_untold(ws: Workspace, settings: Settings) -> None:
    """Each in a night of its own: what the lake shows has its outcome, what it does not show has none of success."""
    ws.trail.close()
    passes = _passes(settings.home / "trace", lambda: store(ws, "d1", "2026-02-01"))
    audit = [fault for fault in passes if fault.startswith(("audit.append", "lake.swap"))]
    assert len(audit) >= 10
    for number, fault in enumerate(audit):
        night = f"2026-03-{number + 1:02}"
        killed(fault, partial(store, ws, "d1", night))
        settle(ws, "bank")
        done = {e["partition"] for e in entries(ws) if e.get("result") == "done" and e["action"] == "commit"}
        current = ws.dataset("bank", "raw").current(night)
        assert (night in done) == (current is not None), fault
        assert store(ws, "d1", night).released
        recovered(ws)


def test_an_attempt_that_was_cut_off_is_there_or_not(ws: Workspace) -> None:
    killed("lake.place.before:kill", lambda: store(ws, "d2", passed=False))
    killed("lake.place.renamed:kill", lambda: store(ws, "d3", passed=False))
    assert settle(ws, "bank") == 2
    assert recovered(ws) == ["failed", "done"]
    assert len(ws.dataset("bank", "raw").attempts(NIGHT)) == 2


@pytest.mark.parametrize(("fault", "result"), [("lake.swap.before", "failed"), ("lake.swap.renamed", "done")])
def test_a_later_commit_tells_what_became_of_the_one_before(ws: Workspace, fault: str, result: str) -> None:
    killed(f"{fault}:kill", lambda: store(ws, "d2"))
    store(ws, "d3")
    store(ws, "d2")
    assert settle(ws, "bank") == 1
    assert recovered(ws) == [result]


def test_a_commit_that_looked_before_and_came_too_late_tells_nothing(ws: Workspace) -> None:
    with pytest.raises(Conflict):
        store(ws, "d3", meanwhile=lambda: killed("lake.swap.after:kill", lambda: store(ws, "d2")))
    assert settle(ws, "bank") == 1
    assert recovered(ws) == ["done"]


def test_of_two_commits_of_one_version_the_one_that_moved_the_pointer_did_it(ws: Workspace) -> None:
    killed("lake.swap.before:kill", lambda: store(ws, "d2"))
    store(ws, "d2")
    assert settle(ws, "bank") == 1
    assert recovered(ws) == ["failed"]


def test_a_writer_that_lives_is_left_alone(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands between intent and pointer until it is told to go on."""
    went_on = commit.swap
    begun, go = os.pipe(), os.pipe()

    def slowly(version: Version, before: Any) -> Any:
        os.write(begun[1], b"x")
        os.read(go[0], 1)
        return went_on(version, before)

    monkeypatch.setattr(commit, "swap", slowly)
    child = os.fork()
    if child == 0:
        store(ws, "d2")
        os._exit(0)
    os.read(begun[0], 1)
    assert [entry["phase"] for entry in entries(ws)][-1] == "intent"
    assert settle(ws, "bank") == 0
    os.write(go[1], b"x")
    assert os.waitpid(child, 0)[1] == 0
    assert settle(ws, "bank") == 0
    assert recovered(ws) == []


def test_a_lock_that_somebody_else_holds_waits_for_the_next_time(ws: Workspace) -> None:
    killed("lake.swap.renamed:kill", lambda: store(ws, "d2"))
    with durable.lock(ws.dataset("bank", "raw").path / NIGHT / commit.LOCK):
        assert settle(ws, "bank") == 0
    assert settle(ws, "bank") == 1
    assert recovered(ws) == ["done"]


def test_a_change_that_goes_on_is_left_alone_and_one_that_died_is_not(ws: Workspace) -> None:
    def train() -> None:
        with ws.trail.change("bank", "train", version="v1"):
            faults.reach("a.point")

    with ws.trail.change("bank", "train", version="v2"):
        killed("a.point:kill", train)
        with ws.trail.change("bank", "hand_out"):
            assert settle(ws, "bank") == 0, "whoever trains shares a lock: the dead one waits for the others"
    assert settle(ws, "bank") == 1
    assert recovered(ws) == ["failed"]


@pytest.mark.parametrize(("step", "result"), [("written", "failed"), ("renamed", "done"), ("after", "done")])
def test_a_decision_that_was_cut_off_ends_as_its_file_says(ws: Workspace, step: str, result: str) -> None:
    registry = Registry.open(ws, "bank")
    killed(f"registry.decide.{step}:kill", lambda: registry.decide(_decision("v1"), None, config="c"))
    assert settle(ws, "bank") == 1
    assert recovered(ws) == [result]
    assert (registry.champion() is not None) == (result == "done")
    recorded = registry.decide(_decision("v2"), registry.champion())
    *_, intent, outcome = entries(ws)
    assert (intent["action"], intent["number"], intent["model"]) == ("promote", recorded.number, "v2")
    assert (outcome["result"], outcome["record"]) == ("done", registry.recorded(recorded.number))


def _decision(model: str) -> Decision:
    return Decision(
        action="promote",
        reason="every gate holds",
        model=model,
        evaluation=f"evaluation of {model}",
        trigger="sensor",
        cause="no champion",
        at=NIGHT,
        nights=(NIGHT,),
        decided_at="2026-01-02T02:00:00+00:00",
    )


@pytest.mark.parametrize("result", ["done", "failed"])
def test_a_rotation_and_a_destruction_end_as_the_ring_says(ws: Workspace, result: str) -> None:
    (kek,) = (kek for kek in ws.lake.keys.keys("bank") if kek.zone == "restricted")

    def change(action: str, act: Callable[[], object], **facts: str) -> None:
        with ws.trail.change("bank", action, zone="open", **facts):
            if result == "done":
                act()
            faults.reach("a.point")

    killed("a.point:kill", lambda: change("keys.rotate", lambda: ws.lake.keys.rotate("bank", "open")))
    destroy = partial(ws.lake.keys.destroy, "bank", "restricted", kek.id)
    killed("a.point:kill", lambda: change("keys.destroy", destroy, kek=kek.id))
    assert settle(ws, "bank") == 2
    assert recovered(ws) == [result, result]


@pytest.mark.parametrize(
    ("zone", "point", "result"),
    [
        ("restricted", "lake.rotate.made", "failed"),
        ("restricted", "keys.rewrap.after", "failed"),
        ("restricted", "lake.rotate.after", "done"),
        ("audit", "lake.rotate.made", "failed"),
        ("audit", "keys.rewrap.after", "done"),
    ],
)
def test_a_rotation_is_done_when_nothing_is_under_an_older_key(
    ws: Workspace, zone: str, point: str, result: str
) -> None:
    rotate = partial(keys.rotate, ws.settings, "bank", zone, None, Console(quiet=True), destroy_old=False)
    killed(f"{point}:kill", rotate)
    assert settle(ws, "bank") == 1
    assert recovered(ws) == [result]
    rotate()
    assert recovered(ws) == [result]


def test_whether_a_hand_out_that_was_cut_off_left_is_unknown(ws: Workspace) -> None:
    def hand_out() -> None:
        with ws.trail.change("bank", "hand_out", zone="restricted", dataset="predictions", partition=NIGHT):
            faults.reach("a.point")

    killed("a.point:kill", hand_out)
    assert settle(ws, "bank") == 1
    assert recovered(ws) == ["unknown"]


def test_of_four_that_settle_at_once_one_does(ws: Workspace) -> None:
    for night in range(1, 9):
        killed("lake.swap.renamed:kill", partial(store, ws, "d1", f"2026-04-{night:02}"))
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            os._exit(settle(ws, "bank"))
        children.append(child)
    assert sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) <= 8
    settle(ws, "bank")
    assert recovered(ws) == ["done"] * 8


def test_what_is_settled_is_not_read_again(ws: Workspace) -> None:
    for number in range(40):
        store(ws, f"d{number}", "2026-05-01")
    note = ws.settings.audit / "bank" / "settled.json"
    assert settle(ws, "bank") == 0
    noted = json.loads(note.read_text())
    assert noted["entry"] == len(entries(ws))
    assert noted["offset"] == (ws.settings.audit / "bank" / "log.jsonl").stat().st_size
    killed("lake.swap.renamed:kill", lambda: store(ws, "d2"))
    end = noted["offset"]
    pairs = ((5, 17), (0, 0), (1, 0), (-3, -1), (5, end), (2**90, 1))
    nonsense = (f'{{"entry": {entry}, "offset": {offset}}}' for entry, offset in pairs)
    for broken in (note.read_text()[:9], "[]", '{"entry": Infinity, "offset": 0}', *nonsense):
        note.write_text(broken)
        assert Tail(note.parent)._offset == 0
        lines = len(entries(ws))
        settle(ws, "bank")
        assert len(entries(ws)) in (lines, lines + 1)
    assert recovered(ws) == ["done"]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'{"action"', b'x"action"'), (b'"sequence"', b'"sequels!"'), (b'"phase"', b'"phrase"'), (b'"of":', b'"or":')],
)
def test_a_line_that_was_edited_is_said_to_be(ws: Workspace, old: bytes, new: bytes) -> None:
    ws.trail.close()
    log = ws.settings.audit / "bank" / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(old, new))
    with pytest.raises(Tampered, match="an entry as number") as caught:
        settle(Workspace.open(ws.settings), "bank")
    assert caught.value.part == "log"
    assert caught.value.__cause__ is None


def test_a_pipeline_that_has_no_log_gets_none(settings: Settings) -> None:
    assert settle(Workspace.open(settings), "bank") == 0
    assert not settings.audit.exists()


def test_where_the_pointer_is_damaged_nothing_is_claimed(ws: Workspace) -> None:
    killed("lake.swap.renamed:kill", lambda: store(ws, "d2"))
    pointer = ws.dataset("bank", "raw").path / NIGHT / "current.json"
    whole = pointer.read_bytes()
    pointer.write_bytes(whole[:-9])
    assert settle(ws, "bank") == 0
    pointer.write_bytes(whole)
    assert settle(ws, "bank") == 1
    assert recovered(ws) == ["done"]


def test_where_the_key_is_gone_nothing_is_claimed_and_nothing_blocked(ws: Workspace) -> None:
    store(ws, "d1", dataset="anonymized")
    killed("lake.swap.before:kill", lambda: store(ws, "d2", dataset="anonymized"))
    (kek,) = (kek for kek in ws.lake.keys.keys("bank") if kek.zone == "restricted")
    rotation.destroy(ws.lake, "bank", "restricted", kek.id, with_data=True)
    ws.trail.close()
    assert settle(Workspace.open(ws.settings), "bank") == 0


@pytest.mark.parametrize("step", durable.REPLACE)
def test_a_new_log_whose_maker_was_killed_begins_again(settings: Settings, step: str) -> None:
    killed(f"audit.signer.{step}:kill", lambda: store(Workspace.open(settings), "d1"))
    ws = Workspace.open(settings)
    assert ws.dataset("bank", "raw").attempts(NIGHT) == []
    settle(ws, "bank")
    assert store(ws, "d1").released
    assert recovered(ws) == []
    assert [entry["action"] for entry in entries(ws)].count("signer") == 1
    assert not list((settings.audit / "bank").glob(f"{durable.TEMPORARY}*"))


@pytest.mark.parametrize("point", ["audit.configured.before", "audit.configured.after"])
def test_a_declaration_whose_note_was_cut_off_is_told_again_at_most(ws: Workspace, point: str) -> None:
    killed(f"{point}:kill", lambda: ws.trail.configured("bank", "a" * 64))
    assert ws.trail.configured("bank", "a" * 64) == point.endswith("before")
    assert not ws.trail.configured("bank", "a" * 64)


@pytest.mark.parametrize("point", ["audit.settled.before", "audit.settled.after"])
def test_a_note_of_what_is_settled_may_be_cut_off(ws: Workspace, point: str) -> None:
    for number in range(33):
        store(ws, f"d{number}", "2026-05-01")
    killed("lake.swap.renamed:kill", lambda: store(ws, "d2"))
    killed(f"{point}:kill", lambda: settle(ws, "bank"))
    assert settle(ws, "bank") == 0
    assert recovered(ws) == ["done"]
