import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from kedge.errors import Terminal, Transient
from kedge.source import intake as module
from kedge.source.take import take

DAY = "2026-01-01"
BODY = "id,age,city,left\nC1,30,Ulm,true\nC2,?, Köln,false\n"
SECRET = "Quintessa"


def deliver(inbox, body=BODY, name=f"{DAY}.csv"):
    (inbox / name).write_text(body)
    return inbox / name


def announce(path, body):
    digest = hashlib.sha256(body.encode()).hexdigest()
    path.with_name(path.name + ".manifest").write_text(json.dumps({"bytes": len(body.encode()), "sha256": digest}))


def test_a_delivery_becomes_raw_as_received(ws, declare, inbox):
    deliver(inbox)
    outcome = take(ws, declare(missing=["?"]), DAY)
    assert outcome.written
    assert outcome.released
    assert outcome.version.scan().collect().rows() == [
        ("C1", "30", "Ulm", "true", 0),
        ("C2", None, "Köln", "false", 1),
    ]
    assert ws.dataset("shop", "raw").current(DAY) == outcome.version
    assert outcome.notes == {"raw": outcome.version.id}
    facts = dict(outcome.facts)
    assert len(facts.pop("delivery")) == 64
    assert facts == {"source": "inbox/{date}.csv", "file_bytes": len(BODY.encode()), "replaces_delivery": False}


def test_the_digest_of_a_delivery_is_keyed(ws, declare, inbox):
    body = deliver(inbox).read_bytes()
    digest = take(ws, declare(), DAY).facts["delivery"]
    assert digest == hashlib.blake2b(body, key=ws.secrets("shop").digest, digest_size=32).hexdigest()


def test_the_same_bytes_twice_write_nothing_and_other_bytes_a_new_version(ws, declare, inbox):
    deliver(inbox)
    first = take(ws, declare(), DAY)
    again = take(ws, declare(), DAY)
    assert (again.version, again.written) == (first.version, False)
    deliver(inbox, BODY.replace("30", "31"))
    second = take(ws, declare(), DAY)
    assert second.version != first.version
    assert second.version.manifest.predecessor == first.version.id
    assert second.facts["replaces_delivery"] is True


def test_unknown_columns_are_stored_too_for_the_contract_to_refuse(ws, declare, inbox):
    deliver(inbox, "left,id,age,city,Phone No\ntrue,C1,30,Ulm,5550147\n")
    assert take(ws, declare(), DAY).version.scan().collect_schema().names() == [
        "left", "id", "age", "city", "Phone_No", "_row",
    ]  # fmt: skip


def test_a_header_alone_is_a_delivery_of_no_rows(ws, declare, inbox):
    deliver(inbox, "id,age,city,left\n")
    assert take(ws, declare(), DAY).rows == 0


def test_nothing_there_is_transient_until_the_lake_has_the_day(ws, declare, inbox):
    with pytest.raises(Transient, match=r"inbox/2026-01-01\.csv: needs the delivery of that day"):
        take(ws, declare(), DAY)
    path = deliver(inbox)
    version = take(ws, declare(), DAY).version
    path.unlink()
    assert take(ws, declare(), DAY).version == version


@pytest.mark.parametrize("body", [BODY + f"C3,{SECRET}\n", BODY[:-10] + '"' + SECRET, f"{SECRET},1,2,3\n{BODY}"])
def test_a_file_that_does_not_parse_leaves_nothing_behind(ws, declare, inbox, settings, body):
    deliver(inbox, body)
    with pytest.raises(Terminal) as caught:
        take(ws, declare(after="delete"), DAY)
    error = caught.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__ or error.__context__
    assert ws.dataset("shop", "raw").attempts(DAY) == []
    assert list(settings.lake.rglob("*.parquet")) == []
    assert (inbox / f"{DAY}.csv").exists()


def test_a_truncated_file_is_told_by_its_manifest(ws, declare, inbox):
    path = deliver(inbox, BODY[:-3])  # "fal": a whole cell to any parser
    announce(path, BODY)
    with pytest.raises(Terminal, match=f"{len(BODY.encode()) - 3} bytes where {len(BODY.encode())} were announced"):
        take(ws, declare(), DAY)
    path.write_text(BODY[:-3] + "xx\n")
    with pytest.raises(Terminal, match="other content than was announced"):
        take(ws, declare(), DAY)
    path.write_text(BODY)
    assert take(ws, declare(), DAY).rows == 2


def test_after_delete_and_archive_the_inbox_is_empty(ws, declare, inbox):
    path = deliver(inbox)
    announce(path, BODY)
    take(ws, declare(after="archive"), DAY)
    assert sorted(entry.name for entry in inbox.iterdir()) == ["archive"]
    assert (inbox / "archive").stat().st_mode & 0o777 == 0o700

    other = BODY.replace("30", "31")
    deliver(inbox, other)
    take(ws, declare(after="archive"), DAY)
    kept = {entry.read_text() for entry in (inbox / "archive").glob("*.csv")}
    assert kept == {BODY, other}

    deliver(inbox)
    take(ws, declare(after="delete"), DAY)
    assert sorted(entry.name for entry in inbox.iterdir()) == ["archive"]
    assert take(ws, declare(after="delete"), DAY).rows == 2


def test_a_newer_delivery_that_came_meanwhile_is_not_deleted(ws, declare, inbox, monkeypatch):
    path = deliver(inbox)
    produce = module.produce

    def slow(*args, **kwargs):
        outcome = produce(*args, **kwargs)
        path.write_text(BODY + "C3,33,Ulm,true\n")
        return outcome

    monkeypatch.setattr(module, "produce", slow)
    take(ws, declare(after="delete"), DAY)
    assert path.exists()


def test_replay_delivers_nights_in_order_and_the_rest_at_the_end(ws, declare, settings):
    settings.data.mkdir()
    path = settings.data / "all.csv"
    path.write_text("id,age,city,left\n" + "".join(f"C{n},{n},Ulm,true\n" for n in range(25)))
    declaration = declare(files="all.csv", replay=10)
    nights = [take(ws, declaration, f"2026-01-0{n}") for n in (1, 2, 3)]
    frames = [night.version.scan().collect() for night in nights]
    assert [frame["id"].to_list() for frame in frames] == [
        [f"C{n}" for n in rows] for rows in (range(10), range(10, 20), range(20, 25))
    ]
    assert [frame["_row"].to_list() for frame in frames] == [list(range(10)), list(range(10)), list(range(5))]
    assert nights[1].facts["first_row"] == 10
    with pytest.raises(Terminal, match="more than 30 rows for 2026-01-04"):
        take(ws, declaration, "2026-01-04")

    # a longer file leaves the nights that were delivered alone
    with path.open("a") as file:
        file.write("C25,25,Ulm,true\n")
    assert [take(ws, declaration, f"2026-01-0{n}").written for n in (1, 2, 3)] == [False, False, True]


def test_a_fault_between_commit_and_tidying_up_is_made_good_by_a_rerun(ws, declare, inbox, monkeypatch):
    path = deliver(inbox)
    monkeypatch.setenv("KEDGE_FAULT", "source.after.before:error")
    with pytest.raises(OSError, match="fault injected"):
        take(ws, declare(after="delete"), DAY)
    monkeypatch.setenv("KEDGE_FAULT", "source.after.file:full")
    with pytest.raises(Transient, match="Free some space"):
        take(ws, declare(after="delete"), DAY)
    monkeypatch.delenv("KEDGE_FAULT")
    assert path.exists()
    assert not take(ws, declare(after="delete"), DAY).written
    assert not path.exists()


_CHILD = """
import sys
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.workspace import Workspace
import json
ws = Workspace.open(Settings.from_environment())
take(ws, Declaration.named("shop", json.loads(sys.argv[1])), "2026-01-01")
"""


@pytest.mark.parametrize("point", ["lake.write.written", "source.after.file"])
def test_kill_9_and_a_rerun_give_the_version_of_an_undisturbed_run(ws, declare, inbox, settings, point):
    deliver(inbox)
    attributes = {
        "partitions": {"start": DAY},
        "source": {"files": "inbox/{date}.csv", "after": "delete"},
        "columns": {
            "id": {"type": "string", "role": "subject", "privacy": "token"},
            "age": {"type": "integer"},
            "city": {"type": "category"},
            "left": {"type": "bool", "role": "target"},
        },
    }
    places = {"KEDGE_HOME": settings.home, "KEDGE_KEYS": settings.keys, "KEDGE_DATA": settings.data}
    env = os.environ | {name: str(place) for name, place in places.items()} | {"KEDGE_FAULT": f"{point}:kill"}
    killed = subprocess.run([sys.executable, "-c", _CHILD, json.dumps(attributes)], env=env, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    after = take(ws, declare(after="delete"), DAY)
    deliver(inbox)
    undisturbed = take(ws, declare(after="delete"), DAY)
    assert not undisturbed.written
    assert undisturbed.version == after.version
    assert sorted(entry.name for entry in inbox.iterdir()) == []


# Raise kedge.source.intake.CODE_VERSION together with this digest when the same delivery has to give other rows.
GOLDEN = {1: "80c49248c344e624"}


def test_the_code_version_stands_for_what_the_stage_does(ws, declare, inbox):
    deliver(inbox)
    frame = take(ws, declare(missing=["?"]), DAY).version.scan().collect()
    stored = json.dumps([list(map(str, frame.schema.items())), frame.rows()]).encode()
    assert {module.CODE_VERSION: hashlib.sha256(stored).hexdigest()[:16]} == GOLDEN
