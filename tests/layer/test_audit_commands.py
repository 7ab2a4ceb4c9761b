"""`kedge audit`: what an operator and an auditor type, on the log of a pipeline that ran."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.audit.entry import record
from kedge.settings import Settings
from kedge.workspace import Workspace

KEDGE = str(Path(sys.executable).parent / "kedge")
TOOL = Path(__file__).parents[2] / "tools/verify.py"

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def trail(places: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A pipeline whose log has a few entries, one change cut off, and an anchor beside it."""
    pipelines, kept = tmp_path / "pipelines", tmp_path / "kept"
    shutil.copytree(places.pipelines / "bank", pipelines / "bank")
    kept.mkdir()
    declared = (pipelines / "bank/defs.yaml").read_text()
    anchored = declared.replace("\nattributes:\n", f"\nattributes:\n  audit: {{anchor: {kept}}}\n", 1)
    assert anchored != declared
    (pipelines / "bank/defs.yaml").write_text(anchored)
    monkeypatch.setenv("KEDGE_PIPELINES", str(pipelines))
    ws = Workspace.open(places, run="run-one", why="a test")
    for night in ("2026-01-01", "2026-01-02"):
        with ws.trail.change("bank", "hand_out", dataset="predictions", partition=night, version="v77") as found:
            found["rows"] = 12
    ws.trail.event("bank", "read", zone="open", dataset="anonymized", partition="2026-01-01", version="v42")
    ws.trail.close()
    return Settings.from_environment()


def kedge(*words: object, columns: int = 120) -> Done:
    environment = os.environ | {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}
    command = [KEDGE, "audit", *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def tool(*words: object) -> Done:
    return subprocess.run([sys.executable, "-I", TOOL, *map(str, words)], capture_output=True, text=True, check=False)


def test_the_key_is_printed_alone_and_verifies(trail: Settings, tmp_path: Path) -> None:
    key = kedge("key", "bank", columns=40).stdout.strip()
    assert key.startswith("kedge/")
    assert key.count("+") >= 2
    assert "\n" not in key
    report = tmp_path / "report.json"
    done = kedge("verify", "bank", "--key", key, "--json", report)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing was changed" in done.stdout
    found = json.loads(report.read_text())
    assert found["tampered"] is None
    assert found["key"] == key
    assert found["size"] == found["signed"] > 5
    assert tool("log", trail.audit / "bank", "--key", key).returncode == 0


def test_without_a_pinned_key_it_is_told(trail: Settings) -> None:
    done = kedge("verify", "bank")
    assert done.returncode == 0
    assert "--key: whoever replaces the log can replace its key" in done.stdout


def test_a_change_that_was_cut_off_gets_its_outcome_once_the_log_is_sound(trail: Settings) -> None:
    ws = Workspace.open(trail)
    ws.trail.log("bank").append(record("bank", "hand_out", "intent", dataset="predictions", partition="2026-01-03"))
    ws.trail.close()
    key = kedge("key", "bank").stdout.strip()
    assert "open" in kedge("show", "bank", "--partition", "2026-01-03").stdout
    assert "cut off" not in kedge("verify", "bank", "--key", key).stdout
    assert "cut off, and their outcome added now: 1" in kedge("verify", "bank").stdout
    assert "unknown (recovered)" in kedge("show", "bank", "--partition", "2026-01-03").stdout


def test_the_anchor_that_is_declared_is_looked_at(trail: Settings, tmp_path: Path) -> None:
    """An old copy of everything that is put back agrees with itself."""
    folder = trail.audit / "bank"
    shutil.copytree(folder, tmp_path / "old")
    ws = Workspace.open(trail)
    ws.trail.event("bank", "read", zone="open", dataset="anonymized", partition="2026-01-02", version="v43")
    ws.trail.close()
    assert kedge("anchor", "bank").returncode == 0
    key = kedge("key", "bank").stdout.strip()
    assert "checkpoints kept elsewhere" in kedge("verify", "bank", "--key", key).stdout
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "old", folder)
    done = kedge("verify", "bank", "--key", key)
    assert done.returncode == 31
    assert "rollback" in done.stderr
    assert tool("log", folder, "--key", key).returncode == 0
    done = tool("log", folder, "--key", key, "--anchor", *(tmp_path / "kept").rglob("0*"))
    assert done.returncode == 31
    assert done.stdout.startswith("rollback: ")


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "kind"),
    [
        ("log.jsonl", b'"v77"', b'"v78"', 24, "edit"),
        ("log.jsonl", b'{"action":"read"', b'{ "action":"read"', 24, "line"),
        ("checkpoints", b"/bank\n", b"/bonk\n", 25, "checkpoint"),
    ],
)
def test_what_was_changed_is_an_exit_code_and_one_message(
    trail: Settings, tmp_path: Path, file: str, old: bytes, new: bytes, code: int, kind: str
) -> None:
    key = kedge("key", "bank").stdout.strip()
    path = trail.audit / "bank" / file
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    report = tmp_path / "report.json"
    done = kedge("verify", "bank", "--key", key, "--json", report, columns=300)
    assert done.returncode == code == tool("log", path.parent, "--key", key).returncode
    assert "Traceback" not in done.stderr
    found = json.loads(report.read_text())
    assert found["tampered"] == kind
    assert f"(entry {found['entry']}, {kind})" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify", "nobody"], 2, "needs the log of a pipeline that ran"),
        (["verify", "../bank"], 2, "pipeline: needs a name"),
        (["verify", "bank", "--key", "abc"], 2, "--key: needs name+key id+key"),
        (["key", "nobody"], 2, "needs the log of a pipeline that ran"),
        (["prove", "bank", "999"], 2, "the number of an entry"),
        (["prove", "bank", "2", "--since", "999"], 2, "near it are"),
        (["show", "bank", "--since", "yesterday"], 2, "--since: needs a day or a time"),
    ],
)
def test_a_mistake_is_one_message(trail: Settings, words: list[str], code: int, said: str) -> None:
    done = kedge(*words, columns=300)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_proof_is_checked_without_kedge(trail: Settings, tmp_path: Path) -> None:
    key, proof = kedge("key", "bank").stdout.strip(), tmp_path / "proof.json"
    done = kedge("prove", "bank", 3, "--out", proof)
    assert (done.returncode, done.stderr) == (0, "")
    checked = tool("proof", proof, "--key", key)
    assert checked.returncode == 0
    assert checked.stdout.startswith("fits: entry 3 is in the log of ")
    assert json.loads(kedge("prove", "bank", 3, columns=40).stdout) == json.loads(proof.read_text())
    proof.write_text(proof.read_text().replace('\\"bank\\"', '\\"bonk\\"'))
    assert tool("proof", proof, "--key", key).returncode == 24


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_fits_the_terminal(trail: Settings, columns: int) -> None:
    shown = kedge("show", "bank", columns=columns).stdout
    assert max(map(len, shown.splitlines())) <= columns
    rows = [line for line in shown.splitlines() if "hand_out" in line]
    assert len(rows) == 2
    assert all(row.split()[-1] == "done" for row in rows)
    assert shown.count("rows 12") == 2 or columns == 80  # where it goes on in the next line
    assert ("a test" in shown) == (columns == 120)


def test_entries_are_chosen_and_written(trail: Settings, tmp_path: Path) -> None:
    report = tmp_path / "entries.json"
    done = kedge("show", "bank", "--dataset", "predictions", "--partition", "2026-01-02", "--json", report)
    assert done.returncode == 0
    intent, outcome = json.loads(report.read_text())
    assert (intent["phase"], outcome["phase"], outcome["of"]) == ("intent", "outcome", intent["entry"])
    assert outcome["rows"] == 12
    assert "no entry fits" in kedge("show", "bank", "--action", "erase").stdout
