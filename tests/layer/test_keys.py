"""`kedge keys`: what it shows, what it destroys and what it refuses; each change is in the audit trail."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kedge.lake import Draft, Version, produce
from kedge.outcome import Findings
from kedge.settings import Settings
from kedge.workspace import Workspace

KEDGE = str(Path(sys.executable).parent / "kedge")
ROWS = pl.DataFrame({"_row": [0, 1, 2]})


def kedge(*words: str, code: int = 0, **variables: str) -> str:
    """Run the command; what it said on both outputs."""
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"} | variables
    done = subprocess.run([KEDGE, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def reported(tmp_path: Path, *words: str, **variables: str) -> Any:
    report = tmp_path / "report.json"
    kedge(*words, "--json", str(report), **variables)
    return json.loads(report.read_text())


@pytest.fixture
def stored(places: Settings) -> list[Version]:
    """A night of the bank in each zone; the log has a signer, so that there are keys of three zones."""
    ws = Workspace.open(places)

    def write(draft: Draft) -> Findings:
        draft.write_frame(ROWS)
        return Findings()

    found = []
    for name in ("raw", "anonymized"):
        made = produce(
            ws.dataset("bank", name), "2026-01-01", inputs={"delivery": "d"}, declared={}, code=1, write=write
        )
        found.append(made.version)
    ws.trail.close()
    return found


def logged(settings: Settings, action: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (settings.audit / "bank" / "log.jsonl").read_bytes().splitlines()]
    return [entry for entry in entries if entry["action"] == action]


def readable(settings: Settings, name: str) -> bool:
    current = Workspace.open(settings).dataset("bank", name).current("2026-01-01")
    assert current is not None
    return bool(current.scan().collect().equals(ROWS.cast({"_row": current.scan().collect_schema()["_row"]})))


def test_keys_are_listed_with_what_needs_them(places: Settings, stored: list[Version], tmp_path: Path) -> None:
    assert "no keys yet" in kedge("keys", "list", KEDGE_HOME=str(tmp_path / "new"), KEDGE_KEYS=str(tmp_path / "new-k"))
    shown = kedge("keys", "list", "bank")
    keys = reported(tmp_path, "keys", "list")
    assert [(key["zone"], key["files"], key["current"]) for key in keys] == [
        ("audit", 1, True),
        ("open", 1, True),
        ("restricted", 2, True),
    ]
    assert all(key["id"] in shown for key in keys)


def test_all_zones_are_rotated_and_everything_still_reads(
    places: Settings, stored: list[Version], tmp_path: Path
) -> None:
    before = {key["id"] for key in reported(tmp_path, "keys", "list")}
    said = kedge("keys", "rotate", "bank")
    assert "the old keys still open what they wrapped" in said
    keys = reported(tmp_path, "keys", "list", "bank")
    assert [(key["current"], key["files"]) for key in keys if key["id"] in before] == [(False, 0)] * 3
    assert sorted(key["files"] for key in keys if key["current"]) == [1, 1, 2]
    assert readable(places, "raw")
    assert readable(places, "anonymized")
    entries = logged(places, "keys.rotate")
    assert [entry["phase"] for entry in entries] == ["intent", "outcome"] * 3
    assert {entry["kek"] for entry in entries[1::2]} == {key["id"] for key in keys if key["current"]}
    assert {entry["result"] for entry in entries[1::2]} == {"done"}


def test_a_rotation_that_destroys_the_old_key_of_one_zone(
    places: Settings, stored: list[Version], tmp_path: Path
) -> None:
    backup = (stored[0].path / "keys.json").read_bytes()
    (done,) = reported(tmp_path, "keys", "rotate", "bank", "--zone", "restricted", "--destroy-old")
    assert (done["zone"], done["rewrapped"], len(done["destroyed"])) == ("restricted", 2, 1)
    assert readable(places, "raw")
    states = [(key["zone"], key["destroyed"] is None) for key in reported(tmp_path, "keys", "list")]
    assert states == [("audit", True), ("open", True), ("restricted", False), ("restricted", True)]
    intent, outcome = logged(places, "keys.destroy")
    assert (intent["kek"], outcome["result"]) == (done["destroyed"][0], "done")
    (stored[0].path / "keys.json").write_bytes(backup)
    assert "destroyed" in kedge("keys", "rotate", "bank", "--zone", "restricted")  # it is told, and is no obstacle


def test_nothing_is_destroyed_before_it_was_said_what_would_be_lost(
    places: Settings, stored: list[Version], tmp_path: Path
) -> None:
    said = kedge("keys", "destroy", "bank", "restricted", "--with-data", code=2)
    assert "2 files need it" in said
    assert "tokens" in said
    assert "with its secrets 1 version of the open zone" in said
    assert "say --yes" in said
    assert readable(places, "raw")
    assert logged(places, "keys.destroy") == []


def test_a_key_that_is_needed_is_destroyed_only_with_its_data(
    places: Settings, stored: list[Version], tmp_path: Path
) -> None:
    (current,) = (key["id"] for key in reported(tmp_path, "keys", "list") if key["zone"] == "open")
    assert "1 file needs" in kedge("keys", "destroy", "bank", "open", "--key", current, "--yes", code=2)
    assert readable(places, "anonymized")
    gone = reported(tmp_path, "keys", "destroy", "bank", "open", "--with-data", "--yes")
    assert gone["destroyed"] == [current]
    assert readable(places, "raw")
    read = f"from kedge.settings import Settings; from kedge.workspace import Workspace; {READ}"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=False)
    assert "KeyGone" in done.stderr
    assert [entry["result"] for entry in logged(places, "keys.destroy") if entry["phase"] == "outcome"] == [
        "failed",
        "done",
    ]


READ = "Workspace.open(Settings.from_environment()).dataset('bank', 'anonymized').current('2026-01-01').scan()"


def test_with_the_restricted_keys_goes_the_open_zone(places: Settings, stored: list[Version]) -> None:
    kedge("keys", "destroy", "bank", "restricted", "--with-data", "--yes")
    read = f"from kedge.settings import Settings; from kedge.workspace import Workspace; {READ}"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=False)
    assert "KeyGone" in done.stderr


def test_a_replaced_restricted_key_takes_no_open_zone_with_it(
    places: Settings, stored: list[Version], tmp_path: Path
) -> None:
    backup = (stored[0].path / "keys.json").read_bytes()
    kedge("keys", "rotate", "bank", "--zone", "restricted")
    (stored[0].path / "keys.json").write_bytes(backup)
    (old,) = (key["id"] for key in reported(tmp_path, "keys", "list") if key["files"] == 1 and not key["current"])
    said = kedge("keys", "destroy", "bank", "restricted", "--key", old, "--with-data", code=2)
    assert "1 file needs it" in said
    assert "open zone" not in said


def test_a_relocked_ring_opens_with_the_new_key_only(places: Settings, stored: list[Version], tmp_path: Path) -> None:
    (beside,) = places.keys.glob("*/unlock.key")
    leaked = tmp_path / "leaked"
    leaked.write_bytes(beside.read_bytes())
    leaked.chmod(0o600)
    assert "rotate the keys" in kedge("keys", "relock")
    assert readable(places, "raw")
    kedge("keys", "list", code=32, KEDGE_KEYS_KEY_FILE=str(leaked))
    said = kedge("keys", "relock", "--key-file", str(tmp_path / "new.key"))
    assert f"KEDGE_KEYS_KEY_FILE={tmp_path / 'new.key'}" in said
    kedge("keys", "list", code=32)
    kedge("keys", "list", KEDGE_KEYS_KEY_FILE=str(tmp_path / "new.key"))
    entries = logged(places, "keys.relock")
    assert [entry["phase"] for entry in entries] == ["intent", "outcome"] * 2
    assert entries[0]["lock"] != entries[2]["lock"]


@pytest.mark.parametrize("fault", ["keys.ring.before", "keys.ring.after"])
def test_a_relock_that_was_killed_is_settled_as_what_became_of_it(
    places: Settings, stored: list[Version], fault: str
) -> None:
    kedge("keys", "relock", code=-9, KEDGE_FAULT=f"{fault}:kill")
    kedge("keys", "rotate", "bank", "--zone", "open")
    _, outcome = logged(places, "keys.relock")
    assert outcome["result"] == ("done" if fault == "keys.ring.after" else "failed")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("destroy", "bank", "open", "--yes"), "kedge keys rotate"),
        (("destroy", "bank", "open", "--key", "k0", "--yes"), "kedge keys list"),
        (("destroy", "bank", "audit", "--with-data", "--yes"), "signer"),
        (("destroy", "bank", "nowhere", "--yes"), "kedge keys list"),
        (("destroy", "../bank", "open", "--yes"), "pipeline"),
        (("relock", "--key-file", "a.key", "--passphrase-file", "b"), "at most one"),
        (("rotate", "shop"), "pipeline that has keys"),
        (("rotate", "bank", "--zone", "nowhere"), "restricted, open, audit"),
        (("list", "../bank"), "pipeline"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    places: Settings, stored: list[Version], words: tuple[str, ...], said: str
) -> None:
    assert said in kedge("keys", *words, code=2)
    assert readable(places, "raw")
    assert readable(places, "anonymized")


def test_a_passphrase_is_asked_of_every_command(places: Settings, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("six words picked at random here")
    secret.chmod(0o600)
    new = {"KEDGE_HOME": str(tmp_path / "new"), "KEDGE_KEYS": str(tmp_path / "new-keys")}
    kedge("keys", "list", KEDGE_KEYS_PASSPHRASE_FILE=str(secret), **new)
    assert "KEDGE_KEYS_PASSPHRASE_FILE" in kedge("keys", "list", code=2, **new)
    secret.write_text("six other words picked at random")
    said = kedge("keys", "list", code=32, KEDGE_KEYS_PASSPHRASE_FILE=str(secret), **new)
    assert "random" not in said
