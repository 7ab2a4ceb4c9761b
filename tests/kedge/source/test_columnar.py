"""Parquet: types become canonical text, and no file makes more of itself than the limits allow."""

import datetime as dt
import decimal
import math
import os
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge.errors import Terminal, Transient
from kedge.source import limits
from kedge.source.file import CHUNK, fingerprint
from kedge.source.read import Delivery
from kedge.spec import Source

SECRET = "Quintessa"
BERLIN = dt.timezone(dt.timedelta(hours=1))


def deliver(path: Path, table: pa.Table | None, *, keyed: str = "", key: bytes = b"", **options: Any) -> Delivery:
    if table is not None:
        pq.write_table(table, path, **options)
    source = Source(files=str(path), replay=1)
    return Delivery(path=path, source=source, declared=("id",), keyed=keyed, key=key)


def cells(delivery: Delivery) -> list[str | None]:
    return delivery.scan().collect()["id"].to_list()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.parquet"


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array(["007", None, "", "Zürich"]), ["007", None, None, "Zürich"]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b"], pa.string_view()), ["a", "b"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([0, -(2**63), 2**63 - 1]), ["0", "-9223372036854775808", "9223372036854775807"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([1, 2], pa.int8()).dictionary_encode(), ["1", "2"]),
        (pa.array([0.1, 1.0, -2.5, 1e308, 1e20]), ["0.1", "1", "-2.5", "1e+308", "1e+20"]),
        (pa.array([math.nan, math.inf, -math.inf]), ["nan", "inf", "-inf"]),
        (pa.array([0.1, 16777216.0], pa.float32()), ["0.1", "16777216"]),
        (pa.array([0.5, 2.0], pa.float16()), ["0.5", "2"]),
        (pa.array([decimal.Decimal("1.50")], pa.decimal128(10, 2)), ["1.50"]),
        (pa.array([dt.date(2028, 2, 29), None]), ["2028-02-29", None]),
        (pa.array([dt.date(2028, 2, 29)], pa.date64()), ["2028-02-29"]),
        (pa.array([dt.datetime(2026, 3, 29, 2, 30)], pa.timestamp("ms")), ["2026-03-29T02:30:00"]),
        (pa.array([dt.datetime(2026, 3, 29, 2, 30, 10, 250_000)]), ["2026-03-29T02:30:10.25"]),
        (pa.array([1], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001"]),
        (
            pa.array([dt.datetime(2026, 1, 1, 0, 30, tzinfo=BERLIN)], pa.timestamp("us", "Europe/Berlin")),
            ["2025-12-31T23:30:00Z"],
        ),
        (pa.array([dt.time(1, 2, 3)]), ["01:02:03"]),
        (pa.array([None, None], pa.null()), [None, None]),
    ],
)
def test_values_become_their_canonical_text(file: Path, array: pa.Array, texts: list[str | None]) -> None:
    assert cells(deliver(file, pa.table({"id": array}))) == texts


@pytest.mark.parametrize(
    "array",
    [
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([b"x"], pa.binary(1)),
        pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([dt.timedelta(days=1)]),
    ],
)
def test_nested_and_binary_columns_are_refused(file: Path, array: pa.Array) -> None:
    with pytest.raises(Terminal, match="column id, which is nested, binary"):
        deliver(file, pa.table({"id": array}))


def test_rows_are_streamed_across_row_groups(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ROW_BYTES", 1_000)
    table = pa.table({"x": ["ab" * 40] * 500, "id": list(range(500))})
    delivery = deliver(file, table, row_group_size=120)
    assert delivery.columns == ("x", "id")
    frames = list(delivery.batches())
    assert max(frame["x"].str.len_bytes().sum() for frame in frames) <= 1_000
    whole = pl.concat(frames)
    assert whole["id"].to_list() == [str(n) for n in range(500)]
    assert whole["_row"].to_list() == list(range(500))
    assert delivery.rows(range(130, 140))["id"].to_list() == [str(n) for n in range(130, 140)]


def test_no_rows_and_no_bytes(file: Path) -> None:
    assert cells(deliver(file, pa.table({"id": pa.array([], pa.int64())}))) == []
    for body in (b"", b"PAR1", b"PAR1PAR1", b"id\n1\n2\n3\n4\n5\n", b"PARE" + bytes(20) + b"PARE"):
        file.write_bytes(body)
        with pytest.raises(Terminal, match=r"other bytes than Parquet|a description of its columns"):
            deliver(file, None)


@pytest.mark.parametrize("columns", [["id", "ID"], ["id", "id"], ["id", "_row"], ["id", "a b", "a.b"], ["id", ""]])
def test_names_that_cannot_be_told_apart_or_used_are_refused(file: Path, columns: list[str]) -> None:
    with pytest.raises(Terminal, match=r"field [23] of the header"):
        deliver(file, pa.table([pa.array([1])] * len(columns), names=columns))


def test_a_footer_or_page_that_was_damaged_is_refused_and_not_quoted(file: Path) -> None:
    values = [f"{SECRET}{os.urandom(8).hex()}" for _ in range(2_000)]
    deliver(file, pa.table({"id": values}), compression="snappy")
    whole = file.read_bytes()
    for start, stop in ((4, 40), (len(whole) // 2, len(whole) // 2 + 400), (len(whole) - 60, len(whole) - 40)):
        file.write_bytes(whole[:start] + b"\xff" * (stop - start) + whole[stop:])
        with pytest.raises(Terminal, match="a damaged Parquet file") as caught:
            cells(deliver(file, None))
        assert caught.value.__context__ is None
        assert SECRET not in str(caught.value)
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Terminal, match="other bytes than Parquet"):
        deliver(file, None)


def test_text_that_is_no_utf_8_is_refused(file: Path) -> None:
    buffers = pa.array([b"ok", b"\xff\xfe"]).buffers()
    broken = pa.StringArray.from_buffers(2, buffers[1], buffers[2])
    with pytest.raises(Terminal, match="damaged Parquet file"):
        cells(deliver(file, pa.table({"id": broken})))


def test_a_parquet_bomb_is_refused_by_what_it_says_of_itself(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"id": ["0" * 1_000] * 20_000})
    delivery = deliver(file, table, use_dictionary=False, compression="zstd")
    assert delivery.columns == ("id",)
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    with pytest.raises(Terminal, match="unpacks to more than 200 times"):
        deliver(file, None)
    monkeypatch.setattr(limits, "MAX_ROWS", 10_000)
    with pytest.raises(Terminal, match="at most 10000 rows; got 20000"):
        deliver(file, None)


def test_thousands_of_columns_are_refused(file: Path) -> None:
    names = ["id", *(f"c{n}" for n in range(3_000))]
    with pytest.raises(Terminal, match="3001 fields"):
        deliver(file, pa.table([pa.array([1])] * len(names), names=names))


def test_a_text_that_a_dictionary_repeats_costs_no_memory_before_it_is_refused(file: Path) -> None:
    """Half a gigabyte of text in a file of a few kilobytes."""
    table = pa.table({"id": pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), ["0" * (1 << 20)])})
    delivery = deliver(file, table, compression="zstd")
    assert file.stat().st_size < 100_000
    sizes = [frame["id"].str.len_bytes().sum() for frame in delivery.batches()]
    assert max(sizes) <= limits.MAX_ROW_BYTES
    assert sum(sizes) == 500 << 20


def test_a_large_cell_and_a_large_row_are_refused(file: Path) -> None:
    with pytest.raises(Terminal, match="cells of at most 1048576 bytes; got one of 1048577 in column id"):
        cells(deliver(file, pa.table({"id": ["0" * ((1 << 20) + 1)]})))
    with pytest.raises(Terminal, match="a row longer than 8 MiB"):
        cells(deliver(file, pa.table({"id": ["0" * (9 << 20)]})))


def test_only_the_bytes_that_were_hashed_are_read(file: Path) -> None:
    table = pa.table({"id": [os.urandom(200).hex() for _ in range(20_000)]})
    deliver(file, table, compression="none", use_dictionary=False, row_group_size=2_000)
    assert file.stat().st_size > 4 * CHUNK
    keyed = fingerprint(file, b"k" * 32).keyed
    delivery = deliver(file, None, keyed=keyed, key=b"k" * 32)
    assert len(cells(delivery)) == 20_000
    batches = delivery.batches()
    next(batches)
    with file.open("r+b") as other:  # a sender that writes while we read
        other.seek(5 * CHUNK)
        other.write(b"0" * 100)
    with pytest.raises(Transient, match="other bytes than a moment ago"):
        list(batches)
    with pytest.raises(Transient, match="other bytes than a moment ago"):
        cells(delivery)


moments = st.datetimes(dt.datetime(1000, 1, 1)).map(lambda moment: moment.replace(fold=0))
scalar = st.one_of(
    st.tuples(st.just(pa.int64()), st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=30)),
    st.tuples(st.just(pa.float64()), st.lists(st.none() | st.floats(), max_size=30)),
    st.tuples(st.just(pa.float32()), st.lists(st.none() | st.floats(width=32), max_size=30)),
    st.tuples(st.just(pa.date32()), st.lists(st.none() | st.dates(), max_size=30)),
    st.tuples(st.just(pa.timestamp("us")), st.lists(st.none() | moments, max_size=30)),
    st.tuples(st.just(pa.bool_()), st.lists(st.none() | st.booleans(), max_size=30)),
    st.tuples(st.just(pa.string()), st.lists(st.none() | st.text(st.characters(codec="utf-8")), max_size=30)),
)


def _value(kind: pa.DataType, text: str | None) -> Any:
    """What the text means, read by Python."""
    if text is None:
        return None
    readers = {
        pa.int64(): int,
        pa.float64(): float,
        pa.float32(): lambda cell: pa.scalar(float(cell), pa.float32()).as_py(),
        pa.date32(): dt.date.fromisoformat,
        pa.timestamp("us"): dt.datetime.fromisoformat,
        pa.bool_(): {"true": True, "false": False}.__getitem__,
        pa.string(): str,
    }
    return readers[kind](text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(drawn=scalar)
def test_what_a_writer_wrote_can_be_read_back_from_the_text(file: Path, drawn: tuple[pa.DataType, list[Any]]) -> None:
    kind, values = drawn
    got = [_value(kind, cell) for cell in cells(deliver(file, pa.table({"id": pa.array(values, kind)})))]
    values = [None if value == "" else value for value in values]
    assert str(got) == str(values)  # nan is equal to nothing, but written alike
