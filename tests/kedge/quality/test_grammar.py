"""The patterns against what Python's own parsers take, in both engines."""

import calendar
import math
import re
from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.quality.grammar import FORMATS, TYPES, python, python_type, rust


def matches(kind: str, text: str) -> bool:
    """Both engines must say the same."""
    first = pl.Series([text]).str.contains(rust(TYPES[kind])).item()
    assert first == bool(re.search(python_type(kind), text))
    return bool(first)


@given(st.dates(min_value=date(1000, 1, 1)))
def test_every_day_is_a_date(day):
    assert matches("date", day.isoformat())


@given(st.from_regex(r"\A(1[789]|20|21)[0-9]{2}-[01][0-9]-[0-3][0-9]\Z"))
def test_a_date_is_a_day_of_the_calendar(text):
    try:
        date.fromisoformat(text)
        known = True
    except ValueError:
        known = False
    assert matches("date", text) == known


def test_leap_years():
    pattern = re.compile(python(TYPES["date"]))
    found = [year for year in range(1000, 10_000) if pattern.search(f"{year}-02-29")]
    assert found == [year for year in range(1000, 10_000) if calendar.isleap(year)]


@given(st.floats(min_value=-1e99, max_value=1e99) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_python_writes_as_a_float_is_one_if_it_is_finite(number):
    assert matches("float", repr(number)) == math.isfinite(number)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("integer", ["0", "-7", "+42", "9" * 18], ["", "1.0", "1_000", "0x1f", " 1", "1\n", "9" * 19, "٣", "1e3"]),
        (
            "float",
            ["1", ".5", "-1.", "1e5", "1.5E-300"],
            ["nan", "inf", "-Infinity", "1e308", "1,5", "", ".", "1e", "1 "],
        ),
        ("bool", ["true", "FALSE", "1", "0", "Yes", "no", "t", "F"], ["", "2", "ja", "truee", "true\n", "on"]),
        ("date", ["2026-01-31", "2000-02-29"], ["2026-1-31", "0999-01-01", "31.01.2026", "2026-01-31 ", "1900-02-29"]),
        (
            "datetime",
            ["2026-01-31T00:00", "2026-01-31 23:59:59.123456", "2026-01-31T00:00Z", "2026-01-31 00:00:00-0330"],
            [
                "2026-01-31",
                "2026-01-31 24:00",
                "2026-01-31T1:00",
                "2026-01-31Z",
                "2026-01-31T00:00 Z",
                "2026-01-31T00:00+1",
            ],
        ),
        ("string", ["", "Zoë\tNguyễn\n", "日本", "=cmd|' /C calc'!A0"], ["a\x00b", "\x1b[31m", "a\u202eb", "\x7f"]),
    ],
)
def test_types(kind, good, bad):
    assert [text for text in good if not matches(kind, text)] == []
    assert [text for text in bad if matches(kind, text)] == []


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "email",
            ["a@b.de", "zoë.x+y@sub.example.org", "o'brien@x.ie"],
            ["a@b", "a b@c.de", "@c.de", "a@b.d", "a@b@c.de", "a@b.de\n"],
        ),
        (
            "phone",
            ["+1 303 555 0147", "(030) 123-456", "030/1234567", "555-0147 x12"],
            ["call me", "123", "+1 303 555 0147\n"],
        ),
        (
            "iban",
            ["DE89 3704 0044 0532 0130 00", "gb82west12345698765432"],
            ["DE89", "1234567890123456", "DE8X370400440532013000"],
        ),
        ("card", ["4111 1111 1111 1111", "378282246310005"], ["4111", "4111 1111 1111 111a", "1" * 20]),
        (
            "ip",
            ["127.0.0.1", "255.255.255.255", "::1", "2001:db8::8a2e:370:7334"],
            ["256.1.1.1", "1.2.3", "01.2.3.4", ":::"],
        ),
    ],
)
def test_formats(name, good, bad):
    def fits(text: str) -> bool:
        first = pl.Series([text]).str.contains(rust(FORMATS[name])).item()
        assert first == bool(re.search(python(FORMATS[name]), text))
        return bool(first)

    assert [text for text in good if not fits(text)] == []
    assert [text for text in bad if fits(text)] == []


@given(st.text())
def test_both_engines_agree_on_any_text(text):
    for kind in TYPES:
        matches(kind, text)
    for pattern in FORMATS.values():
        assert pl.Series([text]).str.contains(rust(pattern)).item() == bool(re.search(python(pattern), text))
