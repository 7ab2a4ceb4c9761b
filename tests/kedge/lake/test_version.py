import json
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from kedge.errors import Terminal
from kedge.lake import Dataset, FileKey, Lake, Outcome, join_rows, raw_ancestor, stack_rows

Store = Callable[..., Outcome]


class Recorder:
    """A journal that remembers."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Mapping[str, Any]]] = []

    def intent(self, entry: Mapping[str, Any]) -> None:
        self.said.append(("intent", entry))

    def outcome(self, entry: Mapping[str, Any]) -> None:
        self.said.append(("outcome", entry))

    def read(self, entry: Mapping[str, Any]) -> None:
        self.said.append(("read", entry))

    def denied(self, entry: Mapping[str, Any]) -> None:
        self.said.append(("denied", entry))


class Without:
    """Leaves one person out."""

    def filter(self, dataset: Dataset, frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.filter(pl.col("name") != "Person 7") if dataset.name == "raw" else frame


def test_pyarrow_reads_it_with_the_handed_key(raw: Dataset, store: Store, frame: pl.DataFrame) -> None:
    version = store(raw).version
    (key,) = version.file_keys(["rows.parquet"])
    assert key.aad == f"restricted/bank/raw/2026-01-01/{version.id}/rows.parquet".encode()
    properties = encryption.create_decryption_properties(key.key, aad_prefix=key.aad)
    assert pl.DataFrame(pq.read_table(key.path, decryption_properties=properties)).equals(frame)
    wrong = encryption.create_decryption_properties(key.key, aad_prefix=key.aad.replace(b"bank", b"shop"))
    with pytest.raises(OSError, match="decrypt"):
        pq.read_table(key.path, decryption_properties=wrong)


def test_every_file_has_a_key_of_its_own_that_is_not_printed(raw: Dataset, store: Store) -> None:
    keys = store(raw).version.file_keys() + store(raw, "2026-01-02").version.file_keys()
    assert len({key.key for key in keys}) == 4
    assert all(str(key.key) not in repr(key) for key in keys)


@pytest.mark.parametrize("rows", [1, 7, 300, 999, 1_000, 5_000])
def test_batches_are_in_order_and_small(raw: Dataset, store: Store, frame: pl.DataFrame, rows: int) -> None:
    batches = list(store(raw).version.batches(rows, columns=["name", "_row"]))
    assert max(batch.height for batch in batches) <= rows
    assert pl.concat(batches).equals(frame.select("name", "_row"))


def test_no_rows_no_batches(raw: Dataset, store: Store, frame: pl.DataFrame) -> None:
    version = store(raw, rows=frame.clear()).version
    assert list(version.batches()) == []
    assert version.scan().collect().equals(frame.clear())


def test_a_file_that_is_not_there_is_named(raw: Dataset, store: Store) -> None:
    with pytest.raises(Terminal, match=r"one of report\.html, rows\.parquet"):
        store(raw).version.scan("other.parquet")


def test_batches_do_not_quote_cells_when_a_filter_fails(raw: Dataset, store: Store) -> None:
    with pytest.raises(Terminal) as caught:
        list(store(raw).version.batches(columns=["no_such_column"]))
    assert caught.value.__context__ is None


def test_rows_of_the_same_raw_version_join(raw: Dataset, lake: Lake, store: Store, frame: pl.DataFrame) -> None:
    left, other_day = store(raw).version, store(raw, "2026-01-02").version
    joined = join_rows(left, left).collect()
    assert joined.height == 1_000
    assert joined["name"].equals(joined["name_right"], check_names=False)
    with pytest.raises(Terminal, match="one raw version"):
        join_rows(left, other_day)
    later = store(raw, delivery="d2").version
    with pytest.raises(Terminal, match="has changed since"):
        join_rows(left, later)
    assert raw_ancestor(left) == left.id


def test_stacked_rows_keep_their_partition(raw: Dataset, store: Store) -> None:
    versions = [store(raw, day).version for day in ("2026-01-02", "2026-01-01")]
    stacked = stack_rows(versions, ["_row"]).collect()
    assert stacked.columns == ["_row", "_partition"]
    assert stacked["_partition"].unique(maintain_order=True).to_list() == ["2026-01-02", "2026-01-01"]
    assert stacked.height == 2_000
    with pytest.raises(Terminal, match="2 of 1 partitions"):
        stack_rows([versions[0], versions[0]])
    with pytest.raises(Terminal, match="0 of 0"):
        stack_rows([])


def test_people_are_left_out_of_every_read(raw: Dataset, lake: Lake, store: Store) -> None:
    first, second = store(raw).version, store(raw, "2026-01-02").version
    lake.leave_out = Without()
    assert "Person 7" not in first.scan().collect()["name"]
    assert sum(batch.height for batch in first.batches()) == 999
    assert join_rows(first, first).collect().height == 999
    assert stack_rows([first, second]).collect().height == 1_998
    with pytest.raises(Terminal, match="leaves out"):
        first.file_keys()


def test_the_journal_stands_around_every_commit(raw: Dataset, lake: Lake, store: Store) -> None:
    journal = Recorder()
    lake.journal, lake.run = journal, "run-1"
    first = store(raw, delivery="d1").version
    store(raw, delivery="d2")
    store(raw, delivery="d1")
    store(raw, delivery="d3", passed=False)
    store(raw, delivery="d1")
    actions = [(what, entry["action"], entry.get("result")) for what, entry in journal.said]
    expected = ["commit", "commit", "repoint", "attempt"]
    assert actions == [said for a in expected for said in (("intent", a, None), ("outcome", a, "done"))]
    entry = journal.said[0][1]
    assert entry["version"] == first.id
    assert entry["content_digest"] == first.manifest.content_digest
    assert entry["writer"]["run"] == "run-1"
    assert journal.said[4][1]["predecessor"] != first.id
    json.dumps(journal.said)


def test_a_journal_that_refuses_stops_the_commit(raw: Dataset, lake: Lake, store: Store) -> None:
    class Full(Recorder):
        def intent(self, entry: Mapping[str, Any]) -> None:
            raise OSError(28, "No space left on device")

    lake.journal = Full()
    with pytest.raises(Exception, match="No space left"):
        store(raw)
    assert raw.current("2026-01-01") is None
    assert raw.attempts("2026-01-01") == []


def test_the_journal_hears_of_a_read_before_it_happens(raw: Dataset, lake: Lake, store: Store) -> None:
    class Strict(Recorder):
        def read(self, entry: Mapping[str, Any]) -> None:
            super().read(entry)
            raise OSError(28, "No space left on device")

    version = store(raw).version
    lake.journal = journal = Strict()
    for read in (version.scan, version.file_keys, lambda: version.read_bytes("report.html")):
        with pytest.raises(OSError, match="No space left"):
            read()
    place = {"zone": "restricted", "pipeline": "bank", "dataset": "raw", "partition": "2026-01-01"}
    assert journal.said == [("read", {**place, "version": version.id})] * 3
    version.check_whole()
    assert len(journal.said) == 3


def test_the_journal_hears_of_a_footer_that_does_not_open(raw: Dataset, lake: Lake, store: Store) -> None:
    version, other = store(raw).version, store(raw, "2026-01-02").version
    lake.journal = journal = Recorder()
    (key,) = other.file_keys(["rows.parquet"])
    journal.said.clear()
    version._file_key = lambda name: FileKey(version.path / name, key.key, key.aad)  # type: ignore[method-assign]
    with pytest.raises(Terminal, match="needs a stored file that opens"):
        version.scan()
    assert [(what, entry.get("file"), entry.get("what")) for what, entry in journal.said] == [
        ("read", None, None),
        ("denied", "rows.parquet", "Terminal"),
    ]
