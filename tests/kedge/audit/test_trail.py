"""Who, what, when and why: what a workspace writes of every change and every read, and what it does when it cannot."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kedge import faults
from kedge.audit.entry import Actor, code_digest
from kedge.errors import Blocked, Conflict, KedgeError, Tampered, Terminal, Transient
from kedge.lake import Draft, Outcome, Version, produce
from kedge.outcome import Check, Findings
from kedge.settings import Settings
from kedge.testing.confined import without_privileges
from kedge.workspace import Workspace

NIGHT = "2026-01-01"
Store = Callable[..., Outcome]


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings, run="run-1", why="a test")


def store(ws: Workspace, delivery: str = "d1", *, passed: bool = True) -> Outcome:
    """A version of two files; what a stage does, without rows."""

    def write(draft: Draft) -> Findings:
        draft.write_bytes(delivery.encode(), "report.html")
        draft.write_bytes(b"more", "more.html")
        return Findings(checks=(Check(name="contract", passed=passed, facts={"failing": 3}),))

    dataset = ws.dataset("bank", "raw")
    return produce(dataset, NIGHT, inputs={"delivery": delivery}, declared={"columns": {}}, code=1, write=write)


def entries(ws: Workspace, *actions: str) -> list[dict[str, Any]]:
    """The log, read as a file is read; only these actions if any are named."""
    lines = (ws.settings.audit / "bank" / "log.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if not actions or entry["action"] in actions]


def test_a_commit_has_an_intent_and_an_outcome_that_say_who_what_when_and_why(ws: Workspace) -> None:
    version = store(ws).version
    intent, outcome = entries(ws, "commit")
    assert (intent["phase"], outcome["phase"], outcome["result"]) == ("intent", "outcome", "done")
    assert intent["actor"] == {"kind": "os", "name": Actor.of_system().name, "uid": os.getuid()}
    assert (intent["run"], intent["why"], intent["pipeline"], intent["code"]) == (
        "run-1",
        "a test",
        "bank",
        code_digest(),
    )
    assert intent["process"]["pid"] == os.getpid()
    assert intent["config"] == version.manifest.declared
    assert intent["content_digest"] == version.manifest.content_digest
    place = {"zone": "restricted", "dataset": "raw", "partition": NIGHT, "version": version.id}
    assert place.items() <= intent.items()
    assert place.items() <= outcome.items()
    assert entries(ws)[outcome["of"]] == intent
    assert intent["time"] <= outcome["time"]


def test_a_person_whom_a_door_asked_is_named(settings: Settings) -> None:
    ws = Workspace.open(settings, actor=Actor("authenticated", "auditor"))
    store(ws)
    assert {tuple(e["actor"].values()) for e in entries(ws, "commit")} == {("authenticated", "auditor", None)}


def test_an_attempt_names_the_checks_and_nothing_that_they_measured(ws: Workspace) -> None:
    store(ws, passed=False)
    intent, outcome = entries(ws, "attempt")
    assert (intent["blocked_by"], outcome["result"]) == (["contract"], "done")
    assert "3" not in intent["blocked_by"]


def test_keys_that_were_made_are_told(ws: Workspace) -> None:
    store(ws)
    made = {(e["zone"], e["kek"]) for e in entries(ws, "keys.create")}
    assert made == {(kek.zone, kek.id) for kek in ws.lake.keys.keys("bank")}
    assert {zone for zone, _ in made} == {"audit", "restricted"}


def test_a_version_is_read_once_per_run_however_often_it_is_opened(ws: Workspace, settings: Settings) -> None:
    version = store(ws).version
    assert entries(ws, "read") == [], "what a draft measures is no read"
    version.check_whole()
    assert version.is_whole()
    assert entries(ws, "read") == [], "nor is a look at the ciphertext"
    version.read_bytes("report.html")
    version.file_keys()
    _again(settings, version, run="run-1", why="a test").read_bytes("more.html")
    (read,) = entries(ws, "read")
    assert (read["phase"], read["dataset"], read["version"]) == ("event", "raw", version.id)
    _again(settings, version, run="run-2").read_bytes("more.html")
    _again(settings, version, run="run-2", actor=Actor("authenticated", "auditor")).read_bytes("more.html")
    assert [(e["run"], e["actor"]["kind"]) for e in entries(ws, "read")] == [
        ("run-1", "os"),
        ("run-2", "os"),
        ("run-2", "authenticated"),
    ]


def _again(settings: Settings, version: Version, **who: Any) -> Version:
    return Workspace.open(settings, **who).dataset("bank", "raw").version(NIGHT, version.id)


def test_without_a_run_each_process_says_once_what_it_reads(settings: Settings) -> None:
    ws = Workspace.open(settings)
    version = store(ws).version
    version.read_bytes("report.html")
    child = os.fork()
    if child == 0:
        version.read_bytes("report.html")
        version.read_bytes("more.html")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    version.read_bytes("more.html")
    assert [e["process"]["pid"] for e in entries(ws, "read")] == [os.getpid(), child]


def test_what_did_not_open_is_told_with_the_class_of_the_error(ws: Workspace) -> None:
    store(ws, "d2")
    version = store(ws).version
    keys = json.loads((version.path / "keys.json").read_text())
    keys["keys"]["report.html"], keys["keys"]["more.html"] = keys["keys"]["more.html"], keys["keys"]["report.html"]
    (version.path / "keys.json").write_text(json.dumps(keys))
    with pytest.raises(Tampered):
        version.read_bytes("report.html")
    (denied,) = entries(ws, "denied")
    assert (denied["file"], denied["what"], denied["version"]) == ("report.html", "WrongKey", version.id)
    assert entries(ws, "read") == []


def test_a_pipeline_whose_key_is_gone_denies(ws: Workspace, settings: Settings) -> None:
    store(ws)
    for kek in ws.lake.keys.keys("bank"):
        if kek.zone == "restricted":
            ws.lake.keys.destroy("bank", "restricted", kek.id)
    with pytest.raises(Terminal):
        Workspace.open(settings).secrets("bank")
    (denied,) = entries(ws, "denied")
    assert (denied["file"], denied["what"], denied["version"]) == ("secrets.json", "KeyGone", None)


def test_a_change_stands_between_two_entries(ws: Workspace) -> None:
    with ws.trail.change("bank", "hand_out", config="c", rows=3) as outcome:
        assert [e["phase"] for e in entries(ws, "hand_out")] == ["intent"], "it is on the disk before the block begins"
        outcome["suffix"] = ".csv"
    intent, ended = entries(ws, "hand_out")
    assert (ended["of"], ended["result"]) == (entries(ws).index(intent), "done")
    assert (ended["rows"], ended["suffix"], ended["config"]) == (3, ".csv", "c")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (ValueError("Jane Doe, born 1980"), "failed"),
        (KeyboardInterrupt(), "failed"),
        (Conflict("x", need="a", got="b", remedy="c"), "conflict"),
        (Blocked("x", need="a", got="b", remedy="c"), "refused"),
    ],
)
def test_a_change_that_fails_says_how_and_quotes_nothing(ws: Workspace, error: BaseException, result: str) -> None:
    with pytest.raises(type(error)), ws.trail.change("bank", "train"):
        raise error
    _, ended = entries(ws, "train")
    assert (ended["result"], ended["error"]) == (result, type(error).__name__)
    assert "Jane" not in (ws.settings.audit / "bank" / "log.jsonl").read_text()


def test_a_change_that_came_about_before_an_error_says_so(ws: Workspace) -> None:
    def late() -> None:
        with ws.trail.change("bank", "hand_out") as outcome:
            outcome["result"] = "done"
            raise OSError("too late to matter")

    with pytest.raises(OSError, match="late"):
        late()
    _, ended = entries(ws, "hand_out")
    assert (ended["result"], ended["error"]) == ("done", "OSError")


def test_a_commit_whose_last_step_fails_is_told_as_it_stands(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for point, result in (("lake.swap.before", "failed"), ("lake.swap.renamed", "done")):
        monkeypatch.setenv(faults.VARIABLE, f"{point}:full")
        with pytest.raises(Transient):
            store(ws, point)
        monkeypatch.delenv(faults.VARIABLE)
        *_, ended = entries(ws, "commit")
        current = ws.dataset("bank", "raw").current(NIGHT)
        assert (ended["result"], ended["error"]) == (result, "OSError")
        assert (current is not None and current.id == ended["version"]) == (result == "done")


def test_a_declaration_is_told_when_it_changes(ws: Workspace, settings: Settings) -> None:
    assert ws.trail.configured("bank", "a" * 64)
    assert not ws.trail.configured("bank", "a" * 64)
    assert not Workspace.open(settings).trail.configured("bank", "a" * 64)
    assert ws.trail.configured("bank", "b" * 64)
    assert [e["config"] for e in entries(ws, "configuration")] == ["a" * 64, "b" * 64]


def test_opening_a_workspace_and_looking_around_writes_no_log(settings: Settings) -> None:
    Workspace.open(settings).dataset("bank", "raw").partitions()
    assert not settings.audit.exists()


@pytest.mark.parametrize("kind", ["full", "error"])
@pytest.mark.parametrize("point", ["audit.append.before", "audit.append.written", "audit.append.synced"])
def test_on_a_disk_that_does_not_take_the_log_nothing_changes(
    ws: Workspace, settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str, point: str
) -> None:
    version = store(ws).version
    before = entries(ws)
    monkeypatch.setenv(faults.VARIABLE, f"{point}:{kind}")
    with pytest.raises(Transient, match="run it again"):
        store(ws, "d2")
    with pytest.raises(Transient, match="run it again"):
        _again(settings, version, run="another").read_bytes("report.html")
    monkeypatch.delenv(faults.VARIABLE)
    assert [v.id for v in ws.dataset("bank", "raw").attempts(NIGHT)] == [version.id]
    assert ws.dataset("bank", "raw").current(NIGHT) == version
    assert not [e for e in entries(ws)[len(before) :] if e["phase"] == "outcome" and e["result"] == "done"]
    assert store(ws, "d2").written, "and goes on when the disk does"


def test_a_folder_that_may_not_be_written_to_stops_changes_and_reads(ws: Workspace, settings: Settings) -> None:
    version = store(ws).version
    ws.trail.close()
    folder = settings.audit / "bank"
    for path in (*folder.iterdir(), folder):
        path.chmod(path.stat().st_mode & 0o555)
    told = without_privileges(lambda: _refusals(settings, version))
    folder.chmod(0o700)
    assert told == ["Terminal", "Terminal", version.id]


def _refusals(settings: Settings, version: Version) -> list[str]:
    """The class of the error of a change and of a read, and what is current afterwards."""
    ws = Workspace.open(settings)
    told = []
    for attempt in (lambda: store(ws, "d2"), lambda: _again(settings, version).read_bytes("report.html")):
        try:
            attempt()
        except KedgeError as error:
            told.append(type(error).__name__)
    current = ws.dataset("bank", "raw").current(NIGHT)
    return [*told, current.id if current else ""]


def test_without_the_signers_key_nothing_changes(ws: Workspace, settings: Settings) -> None:
    version = store(ws).version
    for kek in ws.lake.keys.keys("bank"):
        if kek.zone == "audit":
            ws.lake.keys.destroy("bank", "audit", kek.id)
    assert _refusals(settings, version) == ["KeyGone", "KeyGone", version.id]


def test_a_file_where_the_logs_should_be_is_a_clear_error(settings: Settings) -> None:
    settings.home.mkdir()
    settings.audit.write_text("")
    ws = Workspace.open(settings)
    with pytest.raises(KedgeError, match="audit/bank"):
        store(ws)
    assert ws.dataset("bank", "raw").attempts(NIGHT) == []


def test_a_trail_prints_nothing_of_its_keys(ws: Workspace) -> None:
    assert repr(ws.trail) == f"Trail({ws.lake.id})"
    assert Path(ws.settings.audit).name == "audit"
