from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kedge.errors import Conflict, Terminal
from kedge.lake import Dataset, Draft, Lake, Outcome, Version, produce
from kedge.outcome import Check, Findings

Store = Callable[..., Outcome]
DAY = "2026-01-01"


def names(dataset: Dataset, partition: str = DAY) -> set[str]:
    return {entry.name for entry in (dataset.path / partition).iterdir()}


def told(outcome: Outcome) -> tuple[object, ...]:
    return outcome.version, outcome.released, outcome.reason, outcome.checks, outcome.facts, outcome.rows, outcome.notes


def test_a_version_is_written_and_read_again(raw: Dataset, store: Store, frame: pl.DataFrame) -> None:
    outcome = store(raw)
    assert outcome.written
    assert outcome.released
    assert outcome.reason is None
    assert outcome.rows == 1_000
    assert outcome.version.scan().collect().equals(frame)
    assert outcome.version.read_bytes("report.html") == b"a report"
    assert raw.current(DAY) == outcome.version
    assert raw.partitions() == [DAY]


def test_the_manifest_tells_what_went_in_and_came_out(raw: Dataset, store: Store) -> None:
    manifest = store(raw).version.manifest
    assert manifest.inputs == {"delivery": "d1"}
    assert manifest.schema == (("_row", "UInt64"), ("name", "String"), ("balance", "Float64"))
    assert set(manifest.files) == {"rows.parquet", "report.html"}
    assert manifest.predecessor is None
    assert manifest.notes["nights"] == ["2026-01-01"]
    assert manifest.checks[0].facts == {"failing": 0}


def test_nothing_stored_is_plaintext(raw: Dataset, store: Store) -> None:
    store(raw)
    stored = b"".join(path.read_bytes() for path in raw.path.rglob("*") if path.is_file())
    assert b"Person" not in stored
    assert b"balance" in stored, "names of columns are no secret: the manifest holds them"
    assert b"a report" not in stored


def test_a_rerun_writes_nothing_and_tells_the_same(raw: Dataset, store: Store) -> None:
    first = store(raw)
    before = {path: path.stat().st_mtime_ns for path in raw.path.rglob("*")}
    second = store(raw, rows=pl.DataFrame({"never": ["written"]}))
    assert not second.written
    assert told(second) == told(first)
    assert {path: path.stat().st_mtime_ns for path in raw.path.rglob("*")} == before


def test_a_failed_blocking_check_keeps_the_version_unpointed(raw: Dataset, store: Store) -> None:
    outcome = store(raw, passed=False)
    assert not outcome.released
    assert outcome.reason == "blocked by contract: failing: 3"
    assert raw.current(DAY) is None
    assert raw.partitions() == []
    assert raw.attempts(DAY) == [outcome.version]
    assert outcome.version.scan().collect().height == 1_000


def test_a_failed_check_that_does_not_block_is_only_told(raw: Dataset) -> None:
    def write(draft: Draft) -> Findings:
        return Findings(checks=(Check(name="drift", passed=False, blocking=False),))

    outcome = produce(raw, "all", inputs={}, declared={}, code=1, write=write)
    assert outcome.released
    assert outcome.rows == 0
    assert raw.partitions() == ["all"]


def test_a_blocked_attempt_is_measured_again(raw: Dataset, store: Store) -> None:
    blocked = store(raw, passed=False)
    again = store(raw, passed=False)
    assert again.written
    assert told(again) == told(blocked)
    repaired = store(raw)
    assert repaired.released
    assert repaired.version == blocked.version
    assert raw.current(DAY) == repaired.version
    assert names(raw) == {".lock", "current.json", repaired.version.id}


def test_a_blocked_version_leaves_the_current_one_alone(raw: Dataset, store: Store) -> None:
    good = store(raw, delivery="d1")
    bad = store(raw, delivery="d2", passed=False)
    assert raw.current(DAY) == good.version
    assert raw.attempts(DAY) == [good.version, bad.version]
    assert bad.version.manifest.predecessor == good.version.id


def test_other_inputs_make_another_version(raw: Dataset, store: Store) -> None:
    first, second = store(raw, delivery="d1"), store(raw, delivery="d2")
    assert raw.current(DAY) == second.version != first.version
    assert second.version.manifest.predecessor == first.version.id
    assert second.version.manifest.content_digest == first.version.manifest.content_digest
    assert first.version.scan().collect().height == 1_000, "what was current can still be read"


def test_a_superseded_version_is_pointed_at_again(raw: Dataset, store: Store) -> None:
    first, _ = store(raw, delivery="d1"), store(raw, delivery="d2")
    stored = (first.version.path / "rows.parquet").stat().st_mtime_ns
    back = store(raw, delivery="d1")
    assert back.written
    assert told(back) == told(first)
    assert raw.current(DAY) == first.version
    assert (first.version.path / "rows.parquet").stat().st_mtime_ns == stored
    assert not store(raw, delivery="d1").written


def test_a_damaged_version_is_written_again(raw: Dataset, store: Store) -> None:
    first = store(raw)
    digest = first.version.manifest.content_digest
    (first.version.path / "rows.parquet").write_bytes(b"PARE")
    second = store(raw)
    assert second.written
    assert Version(raw, DAY, first.version.id).manifest.content_digest == digest
    second.version.check_whole()
    assert names(raw) == {".lock", "current.json", first.version.id}


def test_if_writing_raises_nothing_stays(raw: Dataset, frame: pl.DataFrame) -> None:
    def write(draft: Draft) -> Findings:
        draft.write_frame(frame)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        produce(raw, DAY, inputs={}, declared={}, code=1, write=write)
    assert names(raw) == {".lock"}


def test_the_loser_of_a_race_names_the_winner(tmp_path: Path, raw: Dataset, store: Store) -> None:
    def write(draft: Draft) -> Findings:
        other = Lake.open(tmp_path / "home" / "lake", tmp_path / "keys", run="run-42")
        won.append(store(other.dataset("restricted", "bank", "raw")))
        return Findings()

    won: list[Outcome] = []
    with pytest.raises(Conflict, match="run run-42") as caught:
        produce(raw, DAY, inputs={}, declared={}, code=9, write=write)
    assert won[0].version.id in str(caught.value)
    assert raw.current(DAY) == won[0].version
    assert names(raw) == {".lock", "current.json", won[0].version.id}


def test_the_loser_loses_even_to_its_own_version_and_there_and_back(raw: Dataset, store: Store) -> None:
    first = store(raw, delivery="d1")

    def write(draft: Draft) -> Findings:
        store(raw, delivery="d2")
        assert store(raw, delivery="d1").version == first.version
        return Findings()

    with pytest.raises(Conflict, match=first.version.id):
        produce(raw, DAY, inputs={}, declared={}, code=9, write=write)


@pytest.mark.parametrize("value", [float("nan"), np.int64(3), {1, 2}])
def test_facts_that_are_no_json_are_refused_without_quoting_them(raw: Dataset, value: object) -> None:
    with pytest.raises(Terminal, match="None") as caught:
        produce(raw, DAY, inputs={}, declared={}, code=1, write=lambda draft: Findings(notes={"x": value}))
    assert caught.value.__context__ is None
    assert raw.attempts(DAY) == []


def test_an_error_of_polars_is_not_passed_on_for_it_quotes_cells(raw: Dataset) -> None:
    secret = pl.LazyFrame({"age": ["quoted-person"]}).with_columns(pl.col("age").cast(pl.Int64))
    with pytest.raises(Terminal) as caught:
        produce(raw, DAY, inputs={}, declared={}, code=1, write=lambda draft: draft.write_frame(secret) or Findings())
    assert "quoted-person" not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_draft_measures_what_was_stored(raw: Dataset, frame: pl.DataFrame) -> None:
    def write(draft: Draft) -> Findings:
        draft.write_frame(frame.lazy().filter(pl.col("_row") < 10))
        seen.append(draft.read_frame().select(pl.len()).collect().item())
        return Findings(notes={"raw": draft.version})

    seen: list[int] = []
    outcome = produce(raw, DAY, inputs={}, declared={}, code=1, write=write)
    assert seen == [10] == [outcome.rows]
    assert outcome.notes["raw"] == outcome.version.id


@pytest.mark.parametrize(
    "name", ["../x.json", "manifest.json", "keys.json", "x", "rows.parquet", ".x.json", "a/b.json"]
)
def test_files_have_plain_names(raw: Dataset, name: str) -> None:
    with pytest.raises(Terminal):
        produce(
            raw, DAY, inputs={}, declared={}, code=1, write=lambda draft: draft.write_bytes(b"", name) or Findings()
        )


@pytest.mark.parametrize("partition", ["../x", "2026-13-01", "2026-1-1", "", "All", "2026-01-01\n", "x" * 300])
def test_partitions_are_dates_or_all(raw: Dataset, partition: str) -> None:
    with pytest.raises(Terminal, match="partition"):
        produce(raw, partition, inputs={}, declared={}, code=1, write=lambda draft: Findings())
