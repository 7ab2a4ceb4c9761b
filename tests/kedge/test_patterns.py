import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.patterns import PATTERNS, TRACE

EXAMPLES = {
    "email": "jane.doe+x@mail.example.co.uk",
    "url": "https://example.org/u/jane?id=1",
    "iban": "GB29 NWBK 6016 1331 9268 19",
    "card": "4111-1111-1111-1111",
    "ssn": "078-05-1120",
    "phone": "+49 (0)30 1234-567",
    "ip": "192.168.0.17",
}
HARMLESS = [
    "2024-01-15 10:22:33",
    "15.01.2024",
    "15-01-2024",
    "1200.50",
    "2.10.3",
    "basic",
    "10115",
    "A-17/3",
    "12 345",
]


@pytest.mark.parametrize("kind", PATTERNS)
def test_each_kind_finds_its_example(kind: str):
    assert re.fullmatch(PATTERNS[kind], EXAMPLES[kind])


@pytest.mark.parametrize("text", HARMLESS)
def test_dates_amounts_and_codes_are_harmless(text: str):
    assert [kind for kind, pattern in PATTERNS.items() if re.search(pattern, text)] == []


@given(st.text(alphabet="0123456789+-. ()/:@abzDEGB", max_size=40))
@settings(max_examples=300, deadline=None)
def test_both_engines_read_a_pattern_alike(text: str):
    frame = pl.DataFrame({"text": [text]})
    for kind, pattern in PATTERNS.items():
        by_rust = frame.select(pl.col("text").str.replace_all(pattern, "<>")).item()
        assert by_rust == re.sub(pattern, "<>", text, flags=re.ASCII), kind


@pytest.mark.parametrize("kind", PATTERNS)
@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_no_match_is_without_a_trace(kind: str, data: st.DataObject) -> None:
    """Texts without a trace are not searched: a match in one of them would stay in it."""
    match = data.draw(st.from_regex(PATTERNS[kind], fullmatch=True))
    assert re.search(TRACE, match)
    assert pl.Series([match]).str.contains(TRACE).item()
