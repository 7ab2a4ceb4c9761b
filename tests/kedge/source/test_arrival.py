import hashlib
import json
import os
import subprocess
import sys

import pytest

from kedge.source import arrival, file
from kedge.source.arrival import look, waiting

BODY = b"id,age,city,left\nC1,30,Ulm,true\n"


def deliver(path, body=BODY, *, manifest=False, done=False):
    path.write_bytes(body)
    if manifest:
        announced = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        path.with_name(path.name + ".manifest").write_text(json.dumps(announced))
    if done:
        path.with_name(path.name + ".done").touch()


def through(state):
    """State as a sensor keeps it: as JSON."""
    return json.loads(json.dumps(state))


def test_without_a_sign_a_file_is_taken_when_it_rested_for_two_looks(declare, settings, inbox):
    deliver(inbox / "2026-01-01.csv")
    first, state = look(declare(), settings, {})
    assert first == []
    assert list(waiting(state).values()) == ["complete when it is the same at the next look"]

    deliver(inbox / "2026-01-01.csv", BODY + b"C2,31,Ulm,false\n")  # still growing
    second, state = look(declare(), settings, through(state))
    assert second == []

    (third,), state = look(declare(), settings, through(state))
    assert (third.partition, third.bytes) == ("2026-01-01", len(BODY) + 16)
    assert third.paths == (inbox / "2026-01-01.csv",)
    assert look(declare(), settings, through(state)) == ([], state)
    assert waiting(state) == {}


@pytest.mark.parametrize("sign", ["manifest", "done"])
def test_with_a_sign_a_file_is_taken_at_once(declare, settings, inbox, sign):
    deliver(inbox / "2026-01-01.csv", **{sign: True})
    (found,), _ = look(declare(), settings, {})
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_file_that_its_manifest_does_not_describe_waits_and_says_so(declare, settings, inbox):
    path = inbox / "2026-01-01.csv"
    deliver(path, manifest=True)
    path.write_bytes(BODY[:-5])
    state = {}
    for _ in range(3):
        found, state = look(declare(), settings, through(state))
        assert found == []
    assert "announces" in waiting(state)[str(path)]

    path.write_bytes(BODY[:-2] + b"x\n")  # right length, another byte
    found, state = look(declare(), settings, through(state))
    assert found == []
    assert "other content" in waiting(state)[str(path)]

    path.write_bytes(BODY)
    assert len(look(declare(), settings, through(state))[0]) == 1


def test_a_manifest_that_cannot_be_read_is_named(declare, settings, inbox):
    deliver(inbox / "2026-01-01.csv")
    (inbox / "2026-01-01.csv.manifest").write_text('{"bytes": "many"}')
    found, state = look(declare(), settings, {})
    assert found == []
    assert "2026-01-01.csv.manifest: needs JSON" in next(iter(waiting(state).values()))


def test_the_same_bytes_twice_are_one_arrival_and_other_bytes_a_new_one(declare, settings, inbox):
    path = inbox / "2026-01-01.csv"
    deliver(path, done=True)
    (first,), state = look(declare(), settings, {})
    os.utime(path, ns=(1, 1))  # sent again: another time, the same bytes
    again, state = look(declare(), settings, through(state))
    assert again == []
    deliver(path, BODY.replace(b"30", b"40"))
    (second,), state = look(declare(), settings, through(state))
    assert first.partition == second.partition
    assert first.sha256 != second.sha256


def test_a_file_is_hashed_only_when_size_or_time_changed(declare, settings, inbox, monkeypatch):
    hashed = []
    monkeypatch.setattr(arrival, "fingerprint", lambda path: hashed.append(path) or file.fingerprint(path))
    deliver(inbox / "2026-01-01.csv", done=True)
    state = {}
    for _ in range(5):
        _, state = look(declare(), settings, through(state))
    assert len(hashed) == 1


def test_a_file_that_changes_while_it_is_hashed_waits(declare, settings, inbox, monkeypatch):
    path = inbox / "2026-01-01.csv"
    deliver(path, done=True)

    def grow(path):
        found = file.fingerprint(path)
        path.write_bytes(BODY + b"C2,")
        return found

    monkeypatch.setattr(arrival, "fingerprint", grow)
    found, state = look(declare(), settings, {})
    assert found == []
    assert waiting(state) == {str(path): "it changed while it was read"}


def test_only_regular_files_with_a_real_date_from_the_start_on_count(declare, settings, inbox):
    deliver(inbox / "2026-02-30.csv", done=True)
    deliver(inbox / "notes.csv", done=True)
    deliver(inbox / "2025-12-31.csv", done=True)
    deliver(inbox / "2026-01-05.csv.bak", done=True)
    deliver(inbox / "elsewhere.csv")
    (inbox / "2026-01-02.csv").symlink_to(inbox / "elsewhere.csv")
    os.mkfifo(inbox / "2026-01-03.csv")
    (inbox / "2026-01-04.csv").mkdir()
    found, state = look(declare(), settings, {})
    found += look(declare(), settings, state)[0]
    assert found == []
    assert sorted(waiting(state).values()) == ["before partitions.start"] + 3 * ["not a regular file"]


def test_the_date_may_be_a_folder_and_days_come_in_order(declare, settings):
    declaration = declare(files="drop.d/{date}/people.csv.gz")
    for day in ("2026-01-02", "2026-01-01"):
        folder = settings.data / "drop.d" / day
        folder.mkdir(parents=True)
        deliver(folder / "people.csv.gz", done=True)
    (settings.data / "drop.d" / "2026-01-03").touch()  # a file where a folder should be
    found, _ = look(declaration, settings, {})
    assert [one.partition for one in found] == ["2026-01-01", "2026-01-02"]


def test_files_that_have_gone_leave_the_state_and_no_folder_is_no_arrival(declare, settings, inbox):
    deliver(inbox / "2026-01-01.csv", done=True)
    _, state = look(declare(), settings, {})
    (inbox / "2026-01-01.csv").unlink()
    assert look(declare(), settings, state) == ([], {})
    assert look(declare(files="nowhere/{date}.csv"), settings, {}) == ([], {})
    assert look(declare(files="all.csv", replay=10), settings, {}) == ([], {})


def test_sensors_can_import_it_at_no_cost():
    heavy = ["polars", "numpy", "pyarrow", "torch", "pandas", "sklearn", "mlflow", "evidently", "great_expectations"]
    code = f"import sys, kedge.source.arrival, kedge.source.calendar; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- several files


SEVERAL = {"files": "inbox/{date}/*.csv"}


@pytest.fixture
def folder(inbox):
    (inbox / "2026-01-01").mkdir()
    return inbox / "2026-01-01"


def test_a_day_of_several_files_waits_for_each_and_for_the_same_names_twice(declare, settings, folder):
    deliver(folder / "b.csv", done=True)
    found, state = look(declare(**SEVERAL), settings, {})
    assert (found, waiting(state)) == ([], {"2026-01-01": arrival.GROWING})

    deliver(folder / "a.csv")  # another one comes before the second look
    found, state = look(declare(**SEVERAL), settings, through(state))
    assert (found, waiting(state)) == ([], {str(folder / "a.csv"): arrival.GROWING})

    (one,), state = look(declare(**SEVERAL), settings, through(state))
    assert (one.partition, one.bytes) == ("2026-01-01", 2 * len(BODY))
    assert one.paths == (folder / "a.csv", folder / "b.csv")
    listed = [[name, hashlib.sha256(BODY).hexdigest()] for name in ("a.csv", "b.csv")]
    assert one.sha256 == hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    assert look(declare(**SEVERAL), settings, through(state)) == ([], state)
    assert waiting(state) == {}


def test_another_file_of_a_known_day_arrives_and_one_that_goes_does_not(declare, settings, folder):
    def looks(state, number=2):
        every = []
        for _ in range(number):
            found, state = look(declare(**SEVERAL), settings, through(state))
            every += found
        return every, state

    deliver(folder / "a.csv", done=True)
    (first,), state = looks({})
    deliver(folder / "late.csv", BODY + b"C2,31,Ulm,false\n", done=True)
    (second,), state = looks(state)
    assert first.sha256 != second.sha256
    (folder / "a.csv").unlink()
    assert looks(state, 3)[0] == []
    deliver(folder / "a.csv", BODY.replace(b"30", b"40"), done=True)
    (third,), _ = looks(state)
    assert [path.name for path in third.paths] == ["a.csv", "late.csv"]


def test_one_file_that_contradicts_its_manifest_holds_its_day_back_and_no_other(declare, settings, folder, inbox):
    deliver(folder / "a.csv", manifest=True)
    deliver(folder / "b.csv", manifest=True)
    (folder / "b.csv").write_bytes(BODY[:-4])
    (inbox / "2026-01-02").mkdir()
    deliver(inbox / "2026-01-02" / "a.csv", manifest=True)
    every, state = [], {}
    for _ in range(3):
        found, state = look(declare(**SEVERAL), settings, through(state))
        every += found
    assert [one.partition for one in every] == ["2026-01-02"]
    assert list(waiting(state)) == [str(folder / "b.csv")]


def test_companions_hidden_files_and_the_archive_are_no_delivery(declare, settings, inbox):
    for name in ("2026-01-01-a", "2026-01-01-a.manifest.done", ".2026-01-01-b", "2026-02-30-c"):
        deliver(inbox / name, done=True)
    (inbox / "archive").mkdir()
    declaration = declare(files="inbox/{date}-*", format="csv")
    _, state = look(declaration, settings, {})
    (one,), _ = look(declaration, settings, state)
    assert [path.name for path in one.paths] == ["2026-01-01-a"]


def test_files_whose_rows_tell_the_day_arrive_together(by_column, settings):
    declaration = by_column(files="in/*.csv")
    (settings.data / "in").mkdir()
    assert look(declaration, settings, {}) == ([], {})
    for name in ("b.csv", "a.csv"):
        deliver(settings.data / "in" / name, done=True)
    _, state = look(declaration, settings, {})
    (one,), state = look(declaration, settings, through(state))
    assert (one.partition, [path.name for path in one.paths]) == (arrival.UNDATED, ["a.csv", "b.csv"])
    deliver(settings.data / "in/a.csv", BODY * 2, done=True)
    (two,), _ = look(declaration, settings, through(state))
    assert one.sha256 != two.sha256
