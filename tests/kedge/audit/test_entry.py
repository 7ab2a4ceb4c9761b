"""Canonical bytes: the library rfc8785 writes the same, and what has no such form is refused without being quoted."""

import enum
import math
import re
import string
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kedge.audit.entry import Actor, code_digest, encode, record
from kedge.errors import Terminal

LARGEST = 2**53 - 1
names = st.text(string.printable + "\x00\x1f\x7f", max_size=8)
scalars = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4))


@given(st.dictionaries(names, values, max_size=6))
def test_bytes_are_those_of_the_library(entry: dict[str, Any]) -> None:
    assert encode(entry) == rfc8785.dumps(entry)


def test_the_form_is_the_one_of_the_rfc() -> None:
    entry = {"b": '€$\x0f\nA\'B"\\\\"/', "a": [None, True, False, -0, LARGEST], "": ("\u2028", "\x7f")}
    text = '{"":["\u2028","\x7f"],"a":[null,true,false,0,9007199254740991],"b":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert encode(entry) == text.encode()


@pytest.mark.parametrize(
    "value",
    [
        7135.5,
        math.nan,
        math.inf,
        LARGEST + 1,
        -LARGEST - 1,
        b"7135",
        {7135: 1},
        {"ü7135": 1},
        {"a": [{"b": 7135.5}]},
        {"7135"},
        object(),
        "7135\ud800",
        enum.Enum("Word", "7135"),
    ],
)
def test_what_has_no_canonical_form_is_refused_and_not_quoted(value: Any) -> None:
    with pytest.raises(Terminal) as raised:
        encode({"rows": value})
    assert "audit entry" in str(raised.value)
    assert "7135" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("name", ["Müller", 7135, None])
def test_a_name_that_is_not_ascii_is_refused_and_not_quoted(name: Any) -> None:
    with pytest.raises(Terminal, match=re.escape("audit entry (a name)")) as raised:
        encode({name: 1})
    assert str(name) not in str(raised.value)


def test_a_record_says_who_when_where_and_by_which_code() -> None:
    made = record("bank", "read", "event", run="r1", why="night", dataset="raw")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["time"])
    assert made["actor"]["kind"] == "os"
    assert isinstance(made["actor"]["uid"], int)
    assert made["actor"]["name"]
    assert isinstance(made["process"]["pid"], int)
    assert made["process"]["host"]
    assert re.fullmatch("[0-9a-f]{64}", made["code"])
    assert made["code"] == code_digest()
    rest = {key: made[key] for key in ("action", "phase", "run", "why", "pipeline", "config", "dataset")}
    assert rest == {
        "action": "read",
        "phase": "event",
        "run": "r1",
        "why": "night",
        "pipeline": "bank",
        "config": None,
        "dataset": "raw",
    }
    assert encode(made) == rfc8785.dumps(made)


def test_an_authenticated_actor_has_no_number() -> None:
    made = record("bank", "read", "event", actor=Actor("authenticated", "auditor"))
    assert made["actor"] == {"kind": "authenticated", "name": "auditor", "uid": None}


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert Actor.of_system() == Actor("os", "uid 4000000000", 4_000_000_000)
