"""The log: nothing is acknowledged that is not on the disk, and it goes on only from what was signed."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kedge.audit import entry as entries
from kedge.audit import signing
from kedge.audit.checkpoint import read_all
from kedge.audit.log import Log
from kedge.audit.tree import Tree, leaf_hash
from kedge.errors import Tampered, Terminal, Transient
from kedge.keys import KeyRing

OpenLog = Callable[[], Log]
Stored = Callable[[], list[dict[str, Any]]]


def agrees(log: Log) -> None:
    """Lines, tree and every checkpoint say the same."""
    lines = (log.folder / "log.jsonl").read_bytes()
    assert lines.endswith(b"\n")
    hashes = [leaf_hash(line) for line in lines.splitlines()]
    fresh = Tree(log.folder / "naive")
    fresh.append(hashes)
    for checkpoint in read_all(log.folder / "checkpoints", log.vkey):
        assert checkpoint.root == fresh.root(checkpoint.size)
    stored = Tree(log.folder / "tree", size=log.size)
    assert stored.root() == fresh.root()
    assert [stored.read(0, number) for number in range(len(hashes))] == hashes
    stored.close()
    fresh.close()


def within(seconds: float, what: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def in_child(what: Callable[[], None]) -> int:
    """Exit code of a forked child that does it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            what()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_it_begins_with_its_signer(log: Log, stored: Stored) -> None:
    first = stored()[0]
    assert (first["action"], first["phase"], first["vkey"]) == ("signer", "event", log.vkey)
    assert log.origin == "kedge/lake1/bank"
    assert log.vkey.startswith("kedge/lake1/bank+")
    assert json.loads((log.folder / "signer.json").read_bytes())["vkey"] == log.vkey


def test_entries_are_numbered_and_read_again(log: Log, open_log: OpenLog) -> None:
    assert log.append({"n": 1}) == range(1, 2)
    assert log.append({"n": 2}, {"n": 3}) == range(2, 4)
    assert log.append() == range(4, 4)
    assert [(number, found["n"]) for number, found in log.entries(1)] == [(1, 1), (2, 2), (3, 3)]
    assert list(log.entries(2, 3)) == [(2, {"n": 2})]
    assert list(log.entries(4)) == []
    log.close()
    again = open_log()
    assert again.size == 4
    assert list(again.entries(3, 99)) == [(3, {"n": 3})]
    agrees(again)


def test_only_the_owner_may_look(log: Log) -> None:
    log.append({"n": 1})
    log.close()
    assert log.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in log.folder.iterdir()} == dict.fromkeys(
        ("log.jsonl", "tree", "ends", "checkpoints", "signer.json", "append.lock"), 0o600
    )


def test_an_entry_without_a_form_writes_nothing(log: Log) -> None:
    with pytest.raises(Terminal):
        log.append({"n": 1}, {"n": 0.5})
    assert log.size == 1


def test_nothing_is_acknowledged_before_its_fsync(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        length = os.fstat(handle).st_size
        fsync(handle)
        synced.append(length)

    monkeypatch.setattr(os, "fsync", noted)
    for number in range(20):
        log.append({"n": number})
        assert (log.folder / "log.jsonl").stat().st_size in synced


def test_threads_share_an_fsync(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log._thread, "ask", lambda: None)
    synced: list[int] = []
    fsync = os.fsync

    def slow(handle: int) -> None:
        time.sleep(0.01)
        fsync(handle)
        synced.append(handle)

    monkeypatch.setattr(os, "fsync", slow)
    numbers: list[int] = []

    def write(writer: int) -> None:
        for number in range(10):
            numbers.extend(log.append({"writer": writer, "n": number}))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 81))
    assert len(synced) <= 40
    for writer in range(8):
        assert [found["n"] for _, found in log.entries(1) if found["writer"] == writer] == list(range(10))
    log.sign()
    agrees(log)


def test_a_ticket_is_numbered_before_it_is_durable(log: Log) -> None:
    tickets = [log.submit({"n": number}) for number in range(5)]
    assert [ticket.numbers for ticket in tickets] == [range(number, number + 1) for number in range(1, 6)]
    assert tickets[-1].wait() == range(5, 6)
    assert tickets[0].wait() == range(1, 2)


def test_two_of_one_folder_take_turns(log: Log, open_log: OpenLog) -> None:
    other = open_log()
    for number in range(10):
        assert (log, other)[number % 2].append({"n": number}) == range(number + 1, number + 2)
    assert log.size == other.size == 11
    assert other.sign().size == 11
    assert log.sign().size == 11
    agrees(log)


def test_processes_take_turns(log: Log, stored: Stored) -> None:
    def write(writer: int) -> None:
        for number in range(50):
            log.append({"writer": writer, "n": number})
        log.close()

    children = []
    for writer in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                write(writer)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    write(4)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    found = stored()[1:]
    assert len(found) == 250
    for writer in range(5):
        assert [one["n"] for one in found if one["writer"] == writer] == list(range(50))
    log.sign()
    agrees(log)


def test_a_forked_child_opens_its_own_files(log: Log, stored: Stored) -> None:
    log.append({"n": 1})
    ticket = log.submit({"n": 2})

    def append() -> None:
        assert log._files is None
        assert log.append({"n": 3}) == range(3, 4)
        log.close()

    assert in_child(append) == 0
    assert ticket.wait() == range(2, 3)
    assert log.append({"n": 4}) == range(4, 5)
    assert [one.get("n") for one in stored()] == [None, 1, 2, 3, 4]
    log.sign()
    agrees(log)


def test_a_child_forked_while_a_thread_holds_the_lock_can_append(log: Log) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with log._mutex, log._opened().turn:
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log.append({"n": 1})  # waits for the parent's turn to end
            code = 0
        finally:
            os._exit(code)
    time.sleep(0.05)
    assert log.folder.joinpath("log.jsonl").read_bytes().count(b"\n") == 1
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert log.size == 2


def test_checkpoints_follow_by_themselves(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append({"n": 1})
    within(10, lambda: [one.size for one in read_all(log.folder / "checkpoints", log.vkey)][-1:] == [2])
    log.append({"n": 2})
    within(10, lambda: [one.size for one in read_all(log.folder / "checkpoints", log.vkey)][-1:] == [3])


def test_a_busy_log_is_signed_now_and_then(log: Log) -> None:
    began = time.monotonic()
    for number in range(300):
        log.append({"n": number})
    seconds = time.monotonic() - began
    log.close()
    found = read_all(log.folder / "checkpoints", log.vkey)
    assert found[-1].size == 301
    assert len(found) <= 3 + seconds / signing.SIGN_SECONDS
    agrees(log)


def test_the_thread_ends_when_it_has_nothing_to_do(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_IDLE_SECONDS", 0.01)
    log.append({"n": 1})
    within(10, lambda: log._thread._thread is None)
    log.append({"n": 2})
    within(10, lambda: read_all(log.folder / "checkpoints", log.vkey)[-1].size == 3)


def test_an_exit_signs(folder: Path, log: Log) -> None:
    code = (
        "import sys; from pathlib import Path; from kedge.audit.log import Log; from kedge.audit import signing;"
        "from kedge.keys import KeyRing; signing.SIGN_SECONDS = 1e6;"
        "log = Log.open(Path(sys.argv[1]), pipeline='bank', lake_id='lake1',"
        " keys=KeyRing.open(Path(sys.argv[2]), 'lake1'));"
        "[log.append({'n': n}) for n in range(9)]"
    )
    keys = folder.parents[2] / "keys"
    subprocess.run([sys.executable, "-c", code, str(folder), str(keys)], check=True)
    assert read_all(folder / "checkpoints", log.vkey)[-1].size == 10


def test_sign_gives_the_note_that_is_in_the_file(log: Log) -> None:
    log.append({"n": 1})
    checkpoint = log.sign()
    assert checkpoint.size == 2
    assert log.signed(checkpoint) + "\n" in (log.folder / "checkpoints").read_text(encoding="utf-8")


def test_a_signature_that_fails_stops_the_next_entry(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDGE_FAULT", "audit.sign.before:full")
    log.append({"n": 1})
    within(10, lambda: log._thread.failure is not None)
    with pytest.raises(Transient, match="No space left"):
        log.append({"n": 2})
    assert log.size == 2
    monkeypatch.delenv("KEDGE_FAULT")
    assert log.append({"n": 3}) == range(2, 3)
    log.close()
    agrees(log)


@pytest.mark.parametrize("torn", [b"{", b'{"a":1', b"\0" * 5_000, b"x" * 5_000_000])
@pytest.mark.parametrize("alive", [True, False])
def test_a_line_that_was_not_finished_is_cut_and_told(log: Log, open_log: OpenLog, torn: bytes, alive: bool) -> None:
    log.append({"n": 1})
    log.sign()
    with (log.folder / "log.jsonl").open("ab") as file:
        file.write(torn)
    writer = log if alive else open_log()
    assert writer.append({"n": 2}) == range(3, 4)
    recovered = dict(writer.entries(2))[2]
    assert (recovered["action"], recovered["phase"], recovered["bytes"]) == ("recovered", "event", len(torn))
    writer.sign()
    agrees(writer)


def test_whole_lines_of_a_killed_writer_stay(log: Log, open_log: OpenLog) -> None:
    with (log.folder / "log.jsonl").open("ab") as file:
        file.write(b'{"n":1}\n{"n":2}\n{"n"')
    again = open_log()
    assert [found.get("n", found.get("action")) for _, found in again.entries()] == ["signer", 1, 2, "recovered"]
    again.sign()
    agrees(again)


def signed_log(log: Log, count: int = 20) -> bytes:
    for number in range(count):
        log.append({"n": number})
    log.close()
    return (log.folder / "log.jsonl").read_bytes()


@pytest.mark.parametrize("cut", [1, 5, 100])
def test_a_log_shorter_than_signed_is_refused(log: Log, open_log: OpenLog, cut: int) -> None:
    data = signed_log(log)
    (log.folder / "log.jsonl").write_bytes(data[:-cut])
    with pytest.raises(Tampered, match="21 entries, which are signed") as raised:
        open_log()
    assert raised.value.part == "log"
    assert (log.folder / "log.jsonl").read_bytes() == data[:-cut], "evidence stays as it is"


def test_a_log_that_is_gone_is_refused(log: Log, open_log: OpenLog) -> None:
    signed_log(log)
    (log.folder / "log.jsonl").unlink()
    with pytest.raises(Tampered, match="entries, which are signed"):
        open_log()


def test_an_edited_end_is_refused(log: Log, open_log: OpenLog) -> None:
    data = signed_log(log)
    (log.folder / "log.jsonl").write_bytes(data.replace(b'{"n":19}', b'{"n":18}'))
    with pytest.raises(Tampered, match="entries that were changed"):
        open_log()


def test_edits_are_seen_when_the_tree_is_made_again(log: Log, open_log: OpenLog) -> None:
    data = signed_log(log)
    (log.folder / "log.jsonl").write_bytes(data.replace(b'{"n":3}', b'{"n":4}'))
    (log.folder / "tree").unlink()
    with pytest.raises(Tampered, match="entries that were changed"):
        open_log()


@pytest.mark.parametrize("how", ["truncate", "unlink", "replace", "rename"])
def test_an_open_log_that_is_taken_away_is_noticed(log: Log, tmp_path: Path, how: str) -> None:
    log.append({"n": 1})
    log.sign()
    path = log.folder / "log.jsonl"
    shutil.copy(path, tmp_path / "copy")
    if how == "truncate":
        os.truncate(path, 100)
    elif how == "unlink":
        path.unlink()
    elif how == "replace":
        (tmp_path / "copy").rename(path)
    else:
        path.rename(tmp_path / "moved")
        (tmp_path / "copy").rename(path)

    def go_on() -> None:
        log.append({"n": 2})
        log.sign()

    with pytest.raises(Tampered):
        go_on()


def test_a_checkpoint_that_the_log_does_not_give_is_noticed(
    log: Log, tmp_path: Path, keys: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log._thread, "ask", lambda: None)
    shutil.copytree(log.folder, tmp_path / "fork")
    fork = Log.open(tmp_path / "fork", pipeline="bank", lake_id="lake1", keys=keys)
    fork.append({"n": "other"})
    fork.close()
    log.append({"n": 1})
    log.sign()
    shutil.copy(tmp_path / "fork" / "checkpoints", log.folder / "checkpoints")
    log.append({"n": 2})
    with pytest.raises(Tampered) as raised:
        log.sign()
    assert raised.value.part == "checkpoint"


@pytest.mark.parametrize("file", ["tree", "ends"])
@pytest.mark.parametrize("damage", ["gone", "empty", "zeros", "short", "long"])
def test_what_is_derived_is_made_again(log: Log, open_log: OpenLog, file: str, damage: str) -> None:
    data = signed_log(log)
    path = log.folder / file
    whole = path.read_bytes()
    damaged = {"empty": b"", "zeros": bytes(len(whole)), "short": whole[:40], "long": whole + whole}
    path.unlink() if damage == "gone" else path.write_bytes(damaged[damage])
    again = open_log()
    assert path.read_bytes() == whole
    assert [found["n"] for _, found in again.entries(5, 8)] == [4, 5, 6]
    assert again.append({"n": 20}) == range(21, 22)
    again.close()
    assert (log.folder / "log.jsonl").read_bytes() == data + b'{"n":20}\n'
    agrees(again)


def test_ends_that_were_damaged_since_are_made_again(log: Log) -> None:
    signed_log(log)
    log.append({"n": 20})
    (log.folder / "ends").write_bytes(bytes(80))
    assert next(log.entries(5)) == (5, {"n": 4})


def test_a_log_that_lost_its_signer_is_refused(log: Log, open_log: OpenLog) -> None:
    signed_log(log)
    (log.folder / "signer.json").unlink()
    with pytest.raises(Tampered, match=r"signer\.json"):
        open_log()
    assert not (log.folder / "signer.json").exists()


@pytest.mark.parametrize("key", ["vkey", "pipeline", "wrapped"])
def test_a_signer_of_another_log_is_refused(
    log: Log, open_log: OpenLog, tmp_path: Path, keys: KeyRing, key: str
) -> None:
    log.close()
    other = Log.open(tmp_path / "other", pipeline="other", lake_id="lake1", keys=keys)
    other.close()
    content = json.loads((log.folder / "signer.json").read_bytes())
    content[key] = json.loads((other.folder / "signer.json").read_bytes())[key]
    (log.folder / "signer.json").write_text(json.dumps(content))
    with pytest.raises(Terminal):
        open_log()


def test_a_signer_prints_nothing_and_does_not_travel(log: Log) -> None:
    assert repr(log._signer) == "Signer(kedge/lake1/bank)"
    with pytest.raises(TypeError, match="does not travel"):
        log._signer.__reduce__()


@pytest.mark.parametrize("point", ["before", "written"])
@pytest.mark.parametrize("kind", ["full", "error"])
def test_a_failed_write_leaves_nothing(
    log: Log, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch, point: str, kind: str
) -> None:
    log.append({"n": 1})
    log.sign()
    whole = (log.folder / "log.jsonl").read_bytes()
    monkeypatch.setenv("KEDGE_FAULT", f"audit.append.{point}:{kind}")
    with pytest.raises(Transient):
        log.append({"n": 2})
    assert (log.folder / "log.jsonl").read_bytes() == whole
    monkeypatch.delenv("KEDGE_FAULT")
    assert log.append({"n": 3}) == range(2, 3)
    log.sign()
    assert open_log().size == 3
    agrees(log)


def test_a_disk_that_is_full_takes_no_part_of_an_entry(log: Log, stored: Stored) -> None:
    log.append({"n": 1})
    log.sign()
    whole = (log.folder / "log.jsonl").read_bytes()

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, resource.RLIM_INFINITY))
        try:
            log.append({"n": "x" * 100})
        except Transient:
            os._exit(7)

    assert in_child(fill) == 7
    assert (log.folder / "log.jsonl").read_bytes() == whole
    assert log.append({"n": 2}) == range(2, 3)


def test_an_fsync_that_fails_is_no_success_and_is_made_good(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append({"n": 1})
    log.sign()
    fsync, written = os.fsync, []
    pwrite = os.pwrite

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def noted(handle: int, data: memoryview, place: int) -> int:
        written.append(bytes(data))
        return pwrite(handle, data, place)

    monkeypatch.setattr(os, "fsync", failing)
    for number in (2, 3):
        with pytest.raises(Transient, match="Input/output error"):
            log.append({"n": number})
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "pwrite", noted)
    assert log.append({"n": 4}) == range(4, 5)
    assert b'{"n":2}\n{"n":3}\n{"n":4}\n' in written, "the kernel may have dropped what the failed fsync did not store"
    log.sign()
    agrees(log)


def test_an_interrupt_while_entries_are_counted_is_made_good(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append({"n": 1})
    with monkeypatch.context() as patched:

        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr("kedge.audit.lines.Extent", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append({"n": 2})
    assert log.append({"n": 3}) == range(3, 4)
    log.sign()
    agrees(log)


def test_an_interrupt_while_the_tree_grows_is_made_good(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log._thread, "ask", lambda: None)
    log._thread.stop()  # it was asked when the log was opened, and would grow the tree instead of us
    log.append({"n": 1}, {"n": 2})
    append = Tree.append

    def interrupted(tree: Tree, leaves: list[bytes]) -> None:
        append(tree, leaves[:1])
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Tree, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.sign()
    assert log.sign().size == 3
    agrees(log)


def test_a_line_that_is_no_entry_is_refused_and_not_quoted(log: Log) -> None:
    log.close()
    with (log.folder / "log.jsonl").open("ab") as file:
        file.write(b"secret 4711\n[1]\n")
    for number in (1, 2):
        with pytest.raises(Tampered, match=f"number {number}") as raised:
            list(log.entries(number))
        assert "4711" not in str(raised.value)


def test_closing_twice_is_closing_once_and_a_closed_log_opens_again(log: Log) -> None:
    log.append({"n": 1})
    log.close()
    log.close()
    assert log.append({"n": 2}) == range(2, 3)
    log.close()
    agrees(log)


def test_a_log_without_news_is_closed_where_its_folder_is_gone(log: Log) -> None:
    log.sign()
    shutil.rmtree(log.folder)
    log.close()
    assert not log.folder.exists()


def test_nobody_is_locked_out_by_an_announcement(folder: Path, keys: KeyRing) -> None:
    """The key that wraps the signer may be made just now, and its making be logged in the same log."""
    wrap = keys.wrap
    told = []

    def announcing(*what: Any) -> Any:
        wrapped = wrap(*what)
        if not told:
            told.append(True)
            Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys).append({"action": "keys.create"})
        return wrapped

    keys.wrap = announcing  # type: ignore[method-assign]
    log = Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys)
    assert [found["action"] for _, found in log.entries()] == ["signer", "keys.create"]


def test_ten_thousand_entries_at_once(log: Log) -> None:
    fixed = entries.record("bank", "read", "event")
    assert log.append(*[fixed] * 10_000) == range(1, 10_001)
    assert log.sign().size == 10_001
    agrees(log)
