"""Several files that make one delivery."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kedge.errors import Terminal
from kedge.source import limits
from kedge.source.stored import delivered, due, stored
from kedge.source.take import take
from kedge.spec.canonical import canonical

DAY = "2026-01-01"
HEADER = "id,age,city,left\n"


@pytest.fixture
def folder(inbox):
    (inbox / DAY).mkdir()
    return inbox / DAY


def row(n):
    return f"C{n},{20 + n},Ulm,true\n"


def write(folder, files, header=HEADER):
    for name, numbers in files.items():
        (folder / name).write_text(header + "".join(map(row, numbers)))


def ids(outcome):
    frame = outcome.version.scan().collect()
    assert frame["_row"].to_list() == list(range(frame.height))
    return frame["id"].to_list()


def test_all_files_of_a_day_in_order_of_name_are_the_delivery(ws, declare, folder, inbox):
    write(folder, {"b.csv": [3], "a.csv": [1, 2], "c.csv": []})
    (folder / "a.csv.done").touch()
    (folder / ".hidden.csv").write_text("nobody's")
    (inbox / "2026-01-02").mkdir()
    write(inbox / "2026-01-02", {"a.csv": [9]})
    outcome = take(ws, declare(files="inbox/{date}/*.csv"), DAY)
    assert ids(outcome) == ["C1", "C2", "C3"]
    facts = dict(outcome.facts)
    size = sum(path.stat().st_size for path in folder.glob("[abc].csv"))
    assert (facts["files"], facts["file_bytes"], facts["replaces_delivery"]) == (3, size, False)
    assert [(file["name"], file["rows"]) for file in outcome.notes["files"]] == [
        ("a.csv", 2),
        ("b.csv", 1),
        ("c.csv", 0),
    ]


def test_the_date_may_stand_in_the_name_beside_the_star(ws, declare, inbox):
    write(inbox, {f"{DAY}-north.csv": [1], f"{DAY}-south.csv": [2], "2026-01-02-north.csv": [3], f"{DAY}.csv": [4]})
    assert ids(take(ws, declare(files="inbox/{date}-*.csv"), DAY)) == ["C1", "C2"]


def test_the_digest_is_keyed_and_of_names_and_bytes(ws, declare, folder):
    write(folder, {"a.csv": [1], "b.csv": [2]})
    key = ws.secrets("shop").digest
    listed = [
        [path.name, hashlib.blake2b(path.read_bytes(), key=key, digest_size=32).hexdigest()]
        for path in sorted(folder.iterdir())
    ]
    expected = hashlib.blake2b(canonical(listed), key=key, digest_size=32).hexdigest()
    assert take(ws, declare(files="inbox/{date}/*.csv"), DAY).facts["delivery"] == expected


def test_a_rerun_writes_nothing_and_another_file_makes_a_new_version(ws, declare, folder):
    declaration = declare(files="inbox/{date}/*.csv")
    write(folder, {"b.csv": [2]})
    first = take(ws, declaration, DAY)
    assert (take(ws, declaration, DAY).written, stored(ws, declaration, DAY)) == (False, True)
    write(folder, {"a.csv": [1]})
    assert (due(ws, declaration, DAY, ""), delivered(ws, declaration, DAY)) == (True, True)
    second = take(ws, declaration, DAY)
    assert ids(second) == ["C1", "C2"]
    assert (second.facts["replaces_delivery"], second.version.manifest.predecessor) == (True, first.version.id)


def test_columns_may_be_in_another_order_and_be_packed(ws, declare, folder):
    write(folder, {"a.csv": [1]})
    (folder / "b.csv").write_text("city,left,id,age\nKöln,false,C2,40\n")
    frame = take(ws, declare(files="inbox/{date}/*.csv"), DAY).version.scan().collect()
    assert frame.rows() == [("C1", "21", "Ulm", "true", 0), ("C2", "40", "Köln", "false", 1)]
    (folder / "c.gz").write_bytes(gzip.compress((HEADER + row(7)).encode()))
    every = take(ws, declare(files="inbox/{date}/*", format="csv"), DAY)
    assert ids(every) == ["C1", "C2", "C7"]


def test_a_file_with_other_columns_is_named_and_nothing_is_stored(ws, declare, folder):
    write(folder, {"a.csv": [1]})
    (folder / "b.csv").write_text("id,age,left,email\nC2,40,false,quintessa@example.org\n")
    with pytest.raises(
        Terminal, match=r"b\.csv: needs the columns of a\.csv; got 1 more: email; 1 missing: city"
    ) as error:
        take(ws, declare(files="inbox/{date}/*.csv"), DAY)
    assert "quintessa" not in str(error.value)
    assert ws.dataset("shop", "raw").attempts(DAY) == []


def test_a_key_may_be_left_out_of_a_whole_file_of_json(ws, declare, folder):
    (folder / "a.jsonl").write_text('{"id": "C1", "age": 30, "left": true}\n')
    (folder / "b.jsonl").write_text('{"left": false, "id": "C2", "age": 31, "city": "Ulm"}\n')
    declaration = declare(files="inbox/{date}/*.jsonl", after="delete")
    frame = take(ws, declaration, DAY).version.scan().collect()
    assert frame.select("id", "age", "left", "city", "_row").rows() == [
        ("C1", "30", "true", None, 0),
        ("C2", "31", "false", "Ulm", 1),
    ]
    (folder / "c.jsonl").write_text('{"id": "C3", "age": 32, "left": true, "city": "Bonn"}\n')
    late = take(ws, declaration, DAY).version.scan().collect()
    assert late.select("id", "city").rows() == [("C1", None), ("C2", "Ulm"), ("C3", "Bonn")]


@pytest.mark.parametrize("after", ["delete", "archive"])
def test_after_its_day_is_stored_every_file_goes(ws, declare, folder, after):
    declaration = declare(files="inbox/{date}/*.csv", after=after)
    write(folder, {"a.csv": [1], "b.csv": [2]})
    (folder / "b.csv.done").touch()
    take(ws, declaration, DAY)
    assert [path.name for path in folder.iterdir()] == ([] if after == "delete" else ["archive"])
    assert (due(ws, declaration, DAY, ""), delivered(ws, declaration, DAY)) == (False, True)
    assert ids(take(ws, declaration, DAY)) == ["C1", "C2"]


def test_a_file_that_comes_after_the_others_went_is_added_to_them(ws, declare, folder):
    declaration = declare(files="inbox/{date}/*.csv", after="delete")
    write(folder, {"b.csv": [2, 3], "d.csv": [4]})
    take(ws, declaration, DAY)
    write(folder, {"c.csv": [7], "a.csv": [0]})
    assert due(ws, declaration, DAY, "")
    late = take(ws, declaration, DAY)
    assert ids(late) == ["C0", "C2", "C3", "C7", "C4"]
    assert (late.facts["files"], late.facts["files_from_the_lake"]) == (4, 2)
    write(folder, {"b.csv": [5]})  # a correction has the name of the file that it corrects
    assert ids(take(ws, declaration, DAY)) == ["C0", "C5", "C7", "C4"]

    everything = declare(files="inbox/{date}/*.csv")
    write(folder, {"a.csv": [0], "b.csv": [5], "c.csv": [7], "d.csv": [4]})
    assert not take(ws, everything, DAY).written  # the same version as if all had been there at once


def test_files_that_were_kept_and_withdrawn_are_no_part_any_more(ws, declare, folder):
    declaration = declare(files="inbox/{date}/*.csv")
    write(folder, {"a.csv": [1], "b.csv": [2]})
    take(ws, declaration, DAY)
    (folder / "a.csv").unlink()
    assert ids(take(ws, declaration, DAY)) == ["C2"]


def test_rows_in_the_lake_are_not_mixed_with_rows_read_under_other_settings(ws, declare, folder):
    write(folder, {"a.csv": [1]})
    take(ws, declare(files="inbox/{date}/*.csv", after="delete"), DAY)
    write(folder, {"b.csv": [2]})
    with pytest.raises(Terminal, match="read under other settings of source; got 1 that are in the lake only"):
        take(ws, declare(files="inbox/{date}/*.csv", after="delete", missing=["?"]), DAY)
    assert (folder / "b.csv").exists()


def test_each_file_is_held_to_its_manifest(ws, declare, folder):
    write(folder, {"a.csv": [1], "b.csv": [2]})
    (folder / "b.csv.manifest").write_text(json.dumps({"bytes": 1, "sha256": "0" * 64}))
    with pytest.raises(Terminal, match=r"b\.csv: needs the file that its \.manifest announces"):
        take(ws, declare(files="inbox/{date}/*.csv"), DAY)


_CHILD = """
import json, sys
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.workspace import Workspace
ws = Workspace.open(Settings.from_environment())
take(ws, Declaration.named("shop", json.loads(sys.argv[1])), "2026-01-01")
"""


def test_kill_9_while_it_tidies_up_loses_no_file(ws, declare, folder, settings):
    write(folder, {"a.csv": [1], "b.csv": [2]})
    source = {"files": "inbox/{date}/*.csv", "after": "delete"}
    attributes = declare(**source).model_dump(mode="json", include={"partitions"}) | {"source": source}
    attributes["columns"] = {
        "id": {"type": "string", "role": "subject", "privacy": "token"},
        "age": {"type": "integer"},
        "city": {"type": "category"},
        "left": {"type": "bool", "role": "target"},
    }
    places = {"KEDGE_HOME": settings.home, "KEDGE_KEYS": settings.keys, "KEDGE_DATA": settings.data}
    env = os.environ | {name: str(place) for name, place in places.items()} | {"KEDGE_FAULT": "source.after.after:kill"}
    killed = subprocess.run([sys.executable, "-c", _CHILD, json.dumps(attributes)], env=env, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert [path.name for path in folder.iterdir()] == ["b.csv"]
    declaration = declare(**source)
    assert due(ws, declaration, DAY, ""), "what is left has to go"
    after = take(ws, declaration, DAY)
    assert (ids(after), after.written, list(folder.iterdir())) == (["C1", "C2"], False, [])


cells = st.lists(st.tuples(st.integers(0, 99), st.text('abä ,"', max_size=5).map(str.strip)), max_size=12)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(rows=cells, cuts=st.lists(st.integers(0, 12), max_size=4))
def test_any_split_of_the_rows_into_files_gives_the_same_rows(ws, declare, folder, rows, cuts):
    for path in folder.iterdir():
        path.unlink()
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for number, (start, stop) in enumerate(pairwise(bounds)):
        frame = pl.DataFrame(
            [(str(n), "30", text, "true") for n, text in rows[start:stop]],
            schema=dict.fromkeys(("id", "age", "city", "left"), pl.String),
            orient="row",
        )
        frame.write_csv(folder / f"part-{number}.csv", quote_style="always")
    outcome = take(ws, declare(files="inbox/{date}/*.csv"), DAY)
    found = outcome.version.scan().collect()
    assert found.select("id", "city", "_row").rows() == [(str(n), text or None, i) for i, (n, text) in enumerate(rows)]


def test_the_rows_of_a_day_are_bounded_whatever_the_number_of_its_files(ws, declare, folder, monkeypatch):
    declaration = declare(files="inbox/{date}/*.csv")
    monkeypatch.setattr(limits, "MAX_ROWS", 3)
    write(folder, {"a.csv": [1, 2], "b.csv": [3]})
    assert ids(take(ws, declaration, DAY)) == ["C1", "C2", "C3"]
    write(folder, {"c.csv": [4]})
    with pytest.raises(Terminal, match=r"a\.csv: needs at most 3 rows of one day; got more in 3 files"):
        take(ws, declaration, DAY)
