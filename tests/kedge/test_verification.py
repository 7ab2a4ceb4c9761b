"""What `kedge verify` does beside comparing; what it compares is tried in tests/tampering."""

import shutil
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from commands import keys
from commands.verify import SHOWN, render
from kedge.errors import Conflict, Tampered, Terminal, Transient
from kedge.settings import Settings
from kedge.settle import settle
from kedge.spec import load
from kedge.verification import Findings, verify
from kedge.verification.finding import ORDER, ordered
from kedge.verification.record import Record
from kedge.workspace import Workspace
from tests.kedge.test_settle import killed, store

BANK = Path(__file__).parent.parent.parent / "pipelines" / "bank" / "defs.yaml"


def wrong(setting: str, part: str, got: str = "that", need: str = "this") -> Tampered:
    return Tampered(setting, need=need, got=got, remedy="Do it.", part=part)  # type: ignore[arg-type]


def test_nothing_stored_is_said_and_no_lake_is_made(settings: Settings) -> None:
    with pytest.raises(Terminal, match="something that is stored"):
        verify(settings, load(BANK))
    assert not settings.home.exists()
    assert not settings.keys.exists()


def test_what_explains_the_others_comes_first_and_gives_the_code() -> None:
    found = ordered([wrong("a", "data"), Transient("disk", need="a", got="b", remedy="c"), wrong("z", "ring")])
    assert [finding.setting for finding in found] == ["z", "a", "disk"]
    assert (Findings("bank", found).code, Findings("bank", ()).code) == (26, 0)
    assert [finding.code for finding in found] == [26, 20, 2]


def test_the_same_is_found_once_and_the_like_are_counted() -> None:
    found = ordered([wrong("log", "log", need=f"entry {n}") for n in (1, 2, 3, 3)] + [wrong("log", "log", "other")])
    assert [(finding.need, finding.got) for finding in found] == [
        ("entry 1, and 2 more of the kind", "that"),
        ("this", "other"),
    ]


def test_each_part_has_its_turn_and_a_long_list_is_cut() -> None:
    found = ordered([wrong(f"file {number}", part) for part in ORDER for number in range(SHOWN + 5)])
    told = [line.plain for line in render(Findings("bank", found))]
    assert [line.split(":")[0] for line in told if line.endswith(f"{SHOWN + 5} wrong")] == list(ORDER)
    assert told.count("  ... and 5 more: --json FILE writes them all") == len(ORDER)
    assert told[-1] == f"bank: {len(found)} wrong; exit code 30"


def test_an_outcome_that_was_written_late_does_not_undo_a_newer_commit(settings: Settings) -> None:
    ws = Workspace.open(settings)
    store(ws, "d1")
    killed("lake.swap.after:kill", lambda: store(ws, "d2"))
    store(ws, "d3")
    assert settle(ws, "bank") == 1
    ws.trail.close()
    assert verify(settings, load(BANK)).found == ()


def test_a_pipeline_whose_runs_all_failed_early_has_no_secrets_and_misses_none(settings: Settings) -> None:
    ws = Workspace.open(settings)
    ws.trail.configured("bank", load(BANK).digest)
    ws.trail.close()
    found = verify(settings, load(BANK))
    assert (found.found, found.entries, found.versions) == ((), 3, 0)
    assert not (settings.lake / "restricted" / "bank").exists()


def test_secrets_that_were_there_are_missed_also_where_every_version_is_gone(settings: Settings) -> None:
    ws = Workspace.open(settings)
    store(ws, "d1")
    ws.trail.close()
    shutil.rmtree(settings.lake / "restricted" / "bank")
    assert verify(settings, load(BANK)).found[0].part == "secrets"


def test_a_destruction_that_was_cut_off_is_no_older_log(settings: Settings) -> None:
    ws = Workspace.open(settings)
    store(ws, "d1")
    quiet = Console(quiet=True)
    keys.rotate(settings, "bank", "restricted", None, quiet, destroy_old=False)
    destroy = partial(keys.destroy, settings, "bank", "restricted", None, None, quiet, with_data=False, yes=True)
    killed("lake.destroy.after:kill", destroy)
    assert verify(settings, load(BANK)).found == ()
    assert settle(ws, "bank") == 1
    ws.trail.close()
    assert verify(settings, load(BANK)).found == ()


def test_a_key_that_goes_while_the_trail_is_looked_at_is_no_older_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.open(settings)
    store(ws, "d1")
    quiet = Console(quiet=True)
    keys.rotate(settings, "bank", "restricted", None, quiet, destroy_old=False)
    went_on = Record.__init__

    def slowly(record: Record, folder: Path) -> None:
        went_on(record, folder)
        keys.destroy(settings, "bank", "restricted", None, None, quiet, with_data=False, yes=True)

    monkeypatch.setattr(Record, "__init__", slowly)
    assert verify(settings, load(BANK)).found == ()
    ws.trail.close()


def test_an_attempt_that_went_while_it_was_written_anew_is_not_missed(settings: Settings) -> None:
    ws = Workspace.open(settings)
    store(ws, "d1")
    store(ws, "d2", passed=False)
    killed("lake.place.aside:kill", lambda: store(ws, "d2", passed=False))
    assert settle(ws, "bank") == 1
    store(ws, "d3")
    ws.trail.close()
    assert verify(settings, load(BANK)).found == ()


def test_versions_that_were_not_written_anew_are_missed(settings: Settings) -> None:
    ws = Workspace.open(settings)
    first = store(ws, "d1").version
    attempt = store(ws, "d2", passed=False).version
    with pytest.raises(Conflict):
        store(ws, "d2", passed=False, meanwhile=lambda: store(ws, "d3"))
    ws.trail.close()
    shutil.rmtree(attempt.path)
    assert [finding.setting for finding in verify(settings, load(BANK)).found] == [attempt.place]
    shutil.rmtree(first.path)
    assert len(verify(settings, load(BANK)).found) == 2


def test_the_current_version_is_missed_also_where_it_went_while_it_was_written_anew(settings: Settings) -> None:
    ws = Workspace.open(settings)
    current = store(ws, "d1").version
    (current.path / "manifest.json").write_bytes(b"{}")
    killed("lake.place.aside:kill", lambda: store(ws, "d1"))
    assert settle(ws, "bank") == 1
    ws.trail.close()
    assert not current.path.exists()
    assert verify(settings, load(BANK)).found[0].setting == current.place
