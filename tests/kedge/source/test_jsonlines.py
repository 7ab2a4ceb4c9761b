"""JSON lines: what stands in the file is kept as text, and what is no flat object is refused without being quoted."""

import gzip
import json
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge.errors import Terminal, Transient
from kedge.source import limits
from kedge.source.file import fingerprint
from kedge.source.read import Delivery
from kedge.spec import Source

NAMES = ("id", "age", "city")
SECRET = "Quintessa"


def deliver(path: Path, body: str | bytes, *, keyed: str = "", key: bytes = b"", **source: Any) -> Delivery:
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return Delivery(path=path, source=Source(files=str(path), replay=1, **source), declared=NAMES, keyed=keyed, key=key)


def rows(delivery: Delivery) -> list[tuple[str | None, ...]]:
    return delivery.scan().collect().drop("_row").rows()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ('"007"', "007"),
        ("007.50", None),  # no JSON
        ("1.50", "1.50"),
        ("1e2", "1e2"),
        ("-0", "-0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("1e999", "1e999"),
        ("true", "true"),
        ("false", "false"),
        ('"true"', "true"),
        ("null", ""),
        ('""', ""),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ('"Z\\u00fcrich \\ud834\\udd1e"', "Zürich 𝄞"),
        ('" a\\nb"', " a\nb"),
    ],
)
def test_a_value_is_the_text_that_stands_in_the_file(file: Path, written: str, cell: str | None) -> None:
    body = f'{{"id": 1, "age": {written}, "city": "x"}}\n'
    if cell is None:
        with pytest.raises(Terminal, match="no JSON in line 1"):
            deliver(file, body)
    else:
        assert rows(deliver(file, body)) == [("1", cell or None, "x")]


def test_columns_are_the_keys_that_occur_anywhere_and_left_out_keys_are_missing(file: Path) -> None:
    body = '{"id": 1, "emp.var.rate": 2}\n\n  {"city": "Ulm", "id": 2}\r\n{"age": true, "id": 3}'
    delivery = deliver(file, body)
    assert delivery.columns == ("id", "emp_var_rate", "city", "age")
    assert rows(delivery) == [("1", "2", None, None), ("2", None, "Ulm", None), ("3", None, None, "true")]
    assert delivery.scan().collect()["_row"].to_list() == [0, 1, 2]


def test_gzip_encodings_missing_markers_and_any_name_with_a_format(tmp_path: Path) -> None:
    body = '{"id": "?", "age": 1, "city": "Zürich"}\n'
    expected = [(None, "1", "Zürich")]
    assert rows(deliver(tmp_path / "a.jsonl.gz", gzip.compress(body.encode()), missing=["?"])) == expected
    assert rows(deliver(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + body.encode(), missing=["?"])) == expected
    for encoding in ("latin-1", "utf-16"):
        delivery = deliver(tmp_path / "a.txt", body.encode(encoding), format="jsonl", encoding=encoding, missing=["?"])
        assert rows(delivery) == expected


@pytest.mark.parametrize(
    ("line", "got"),
    [
        (f'{{"id": ["{SECRET}"]}}', "a list or an object in column id, row 2"),
        (f'{{"id": {{"{SECRET}": 1}}}}', "a list or an object in column id, row 2"),
        (f'["{SECRET}"]', "no object in line 2"),
        (f'"{SECRET}"', "no object in line 2"),
        ("null", "no object in line 2"),
        (f'{{"id": "{SECRET}"', "no JSON in line 2"),
        (f'{{"id": "{SECRET}"}}{{"id": 2}}', "no JSON in line 2"),
        (f"{{'id': '{SECRET}'}}", "no JSON in line 2"),
        (f'{{"id": "{SECRET}\0"}}', "no JSON in line 2"),
        (f'{{"id": "{SECRET}", "id": 2}}', "a key that is there twice in line 2"),
        (f'{{"id": "{SECRET}", "ID": 2}}', "field 4 of the header: .* got one that is there already"),
        (f'{{"{SECRET}!!{SECRET * 8}": 2}}', "field 4 of the header: .* got one that can be none"),
        ('{"_row": 2}', "field 4 of the header: .* got one that can be none"),
        (f'{{"id": "{SECRET} \\ud800"}}', "half a character"),
        ('{"id": ' + "[" * 100_000 + "]" * 100_000 + "}", "no JSON in line 2"),
    ],
)
def test_what_is_no_flat_object_is_refused_and_never_quoted(file: Path, line: str, got: str) -> None:
    with pytest.raises(Terminal, match=got) as caught:
        rows(deliver(file, f'{{"id": 1, "age": 2, "city": "Ulm"}}\n{line}\n'))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("body", ["", "\n\n", "{}\n"])
def test_a_file_without_an_object_says_so(file: Path, body: str) -> None:
    with pytest.raises(Terminal, match="no line with an object"):
        deliver(file, body)


def test_keys_that_nobody_declared_are_never_shown(file: Path) -> None:
    with pytest.raises(Terminal, match="2 fields, 0 of them declared") as caught:
        deliver(file, f'{{"{SECRET}": 1, "b": 2}}\n')
    assert SECRET not in str(caught.value)


def test_long_lines_and_many_keys_are_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ROW_BYTES", 100)
    with pytest.raises(Terminal, match="a line 1 longer than"):
        deliver(file, f'{{"id": "{SECRET * 20}"}}\n')
    monkeypatch.undo()
    with pytest.raises(Terminal, match="100003 fields"):
        deliver(file, json.dumps(dict.fromkeys([*NAMES, *(f"c{n}" for n in range(100_000))], 1)))


def test_batches_go_on_where_the_last_one_ended(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ROW_BYTES", 500)
    body = "".join(f'{{"id": {n}, "age": 1, "city": "x"}}\n' for n in range(300))
    delivery = deliver(file, body)
    assert len(list(delivery.batches())) > 10
    assert delivery.scan().collect()["_row"].to_list() == list(range(300))
    assert delivery.rows(range(100, 110))["id"].to_list() == [str(n) for n in range(100, 110)]


def test_a_file_that_changes_is_noticed(file: Path) -> None:
    body = '{"id": 1, "age": 2, "city": "x"}\n'
    file.write_text(body)
    keyed = fingerprint(file, b"k" * 32).keyed
    assert rows(deliver(file, body, keyed=keyed, key=b"k" * 32)) == [("1", "2", "x")]
    with pytest.raises(Transient, match="other bytes than a moment ago"):
        rows(deliver(file, body.replace("1", "9"), keyed=keyed, key=b"k" * 32))
    delivery = deliver(file, body)
    file.write_text('{"id": 1, "age": 2, "zip": "x"}\n')
    with pytest.raises(Transient):
        rows(delivery)


value = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"), max_size=12)


def _text(cell: Any) -> str | None:
    return None if cell is None else cell if isinstance(cell, str) else json.dumps(cell)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(table=st.lists(st.tuples(value, value, value), min_size=1, max_size=20), ascii_only=st.booleans())
def test_what_a_json_writer_wrote_comes_back(file: Path, table: list[tuple[Any, ...]], ascii_only: bool) -> None:
    lines = (json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=ascii_only) for row in table)
    got = rows(deliver(file, "\n".join(lines), missing=[]))
    assert got == [tuple(map(_text, row)) for row in table]
