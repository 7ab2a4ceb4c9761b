"""How files are written: which format a name means, and which keys go together."""

from collections.abc import Callable
from typing import Any

import pytest

from kedge.spec import Declaration
from kedge.spec.dialect import Dialect

Declare = Callable[..., Declaration]
Refusal = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "csv"),
        ("a.csv.gz", "csv"),
        ("a.jsonl", "jsonl"),
        ("a.jsonl.gz", "jsonl"),
        ("a.parquet", "parquet"),
        ("a.parquet.gz", None),
        ("a.test", None),
        ("csv", None),
    ],
)
def test_the_suffix_says_the_format_unless_it_is_declared(name: str, expected: str | None) -> None:
    assert Dialect().format_of(name) == expected
    assert Dialect(format="jsonl").format_of(name) == "jsonl"


@pytest.mark.parametrize(
    "source",
    [
        {"files": "in/{date}.csv", "quote": "'", "comment": "//", "delimiter": "\t"},
        {"files": "in/{date}.csv", "quote": ""},
        {"files": "in/{date}.data", "format": "csv", "comment": "|", "encoding": "latin-1"},
        {"files": "in/{date}.gz", "format": "jsonl", "encoding": "utf-16"},
        {"files": "in/{date}.parquet", "missing": ["", "?"]},
    ],
)
def test_what_goes_together_is_taken(declare: Declare, source: dict[str, Any]) -> None:
    assert declare(source=source).source.files == source["files"]


@pytest.mark.parametrize(
    ("source", "setting", "words"),
    [
        ({"format": "xlsx"}, "source.format", "one of csv, jsonl, parquet; got 'xlsx'"),
        ({"quote": "''"}, "source.quote", "one ASCII character"),
        ({"quote": "„"}, "source.quote", "one ASCII character"),
        ({"quote": "\n"}, "source.quote", "no line end"),
        ({"quote": "'", "delimiter": "'"}, "source.delimiter", "no quote or line end"),
        ({"delimiter": "§"}, "source.delimiter", "one ASCII character"),
        ({"delimiter": '"'}, "source.delimiter", "no quote or line end"),
        ({"comment": "#\n"}, "source.comment", "no line end"),
        ({"comment": "#" * 9}, "source.comment", "at most 8 characters"),
        ({"encoding": "hex"}, "source.encoding", "a text encoding"),
        ({"encoding": 8}, "source.encoding", "a text encoding"),
        ({"format": "jsonl", "comment": "#"}, "source.comment", "to be left out with jsonl"),
        ({"format": "jsonl", "header": False}, "source.header", "to be left out with jsonl"),
        ({"format": "parquet", "encoding": "latin-1"}, "source.encoding", "to be left out with parquet"),
        ({"format": "parquet", "files": "{date}.gz"}, "source.format", "csv or jsonl for a .gz file"),
    ],
)
def test_what_does_not_is_refused(refusal: Refusal, source: dict[str, Any], setting: str, words: str) -> None:
    found = refusal(source={"files": "inbox/{date}.csv"} | source)
    assert words in found[setting]


def test_new_keys_at_their_default_leave_stored_versions_valid(declare: Declare) -> None:
    plain = declare()
    same = declare(source={"files": "inbox/{date}.csv", "quote": '"', "comment": "", "format": None})
    assert [plain.part(stage) for stage in ("raw", "validated")] == [same.part(s) for s in ("raw", "validated")]
    assert plain.part("raw") != declare(source__quote="'").part("raw")
