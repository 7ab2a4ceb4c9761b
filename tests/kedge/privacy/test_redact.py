import gzip
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.patterns import PATTERNS
from kedge.privacy.plan import PlannedColumn
from kedge.privacy.redact import leftover, redact, tags

NOTES = PlannedColumn(name="notes", type="string", treatment="redact")
COLUMNS = (
    PlannedColumn(name="id", type="integer", treatment="token"),
    PlannedColumn(name="name", type="string", treatment="drop"),
    PlannedColumn(name="mail", type="string", treatment="token"),
    PlannedColumn(name="born", type="date", treatment="bins", width=10.0, unit="y"),
    PlannedColumn(name="zip", type="string", treatment="prefix", length=1),
    PlannedColumn(name="age", type="integer", treatment="bins", width=10.0),
    PlannedColumn(name="plan", type="category"),
    NOTES,
)
ROW = {
    "id": 48151,
    "name": "Zoë Müller-Lang",
    "mail": "zm@example.org",
    "born": "1984-05-03",
    "zip": "10115",
    "age": 41,
}


def redacted(text: str | None, **own: object) -> str | None:
    row = pl.DataFrame({**ROW, **own, "plan": "basic", "notes": text}, schema_overrides={"notes": pl.String})
    row = row.with_columns(pl.col("born").str.to_date())
    return row.select(redact("notes", COLUMNS)).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jane.doe+x@mail.example.co.uk.", "write to <EMAIL>."),
        ("JANE@EXAMPLE.ORG, jäne@exämple.org", "<EMAIL>, <EMAIL>"),
        ("jane＠example.org", "<EMAIL>"),  # full-width
        ("ja\u200bne@example.org", "<EMAIL>"),  # with a zero-width space
        ("see https://example.org/u/jane?id=1 now", "see <URL> now"),
        ("IBAN DE89 3704 0044 0532 0130 00 given", "IBAN <IBAN> given"),
        ("iban de89370400440532013000", "iban <IBAN>"),
        ("NO93 8601 1117 947 and", "<IBAN> and"),
        ("card 4111 1111 1111 1111, 378282246310005", "card <CARD>, <CARD>"),
        ("ssn 078-05-1120", "ssn <SSN>"),
        ("call +49 (0)30 1234-567 today", "call <PHONE> today"),
        ("call 030 1234567 or 0171-2345678", "call <PHONE> or <PHONE>"),
        ("(555) 123-4567 or 555-123-4567x12", "<PHONE> or <PHONE>"),
        ("from 192.168.0.17 and 2001:db8:0:0:0:ff00:42:8329", "from <IP> and <IP>"),
        ("from 2001:db8::1", "from <IP>"),
        ("paid 1200.50 on 2024-01-15 10:22:33, 3 items of 250", "paid 1200.50 on 2024-01-15 10:22:33, 3 items of 250"),
        ("on 15.01.2024 or 15-01-2024 version 2.10.3", "on 15.01.2024 or 15-01-2024 version 2.10.3"),
        ("", ""),
        (None, None),
    ],
)
def test_patterns(text: str | None, expected: str | None):
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zoë Müller-Lang called", "<NAME> called"),
        ("ZOE\u0308 MÜLLER-LANG called", "<NAME> called"),
        ("Mrs Müller, first name Zoë; Lang", "Mrs <NAME>, first name <NAME>; <NAME>"),
        ("a language, long", "a language, long"),  # parts of a name only as words
        ("customer 48151, not 481516", "customer <ID>, not 481516"),
        ("born 1984-05-03 (03.05.1984, 05/03/1984)", "born <BORN> (<BORN>, <BORN>)"),
        ("lives in 10115 Berlin", "lives in <ZIP> Berlin"),
        ("is 41, on plan basic", "is 41, on plan basic"),
    ],
)
def test_own_values(text: str, expected: str):
    assert redacted(text) == expected


def test_long_own_values_inside_words():
    assert redacted("ref:C4711-88x", zip="C4711-88") == "ref:<ZIP>x"


def test_short_and_missing_own_values_are_not_looked_for():
    assert redacted("a b 10", zip="b", name=None) == "a b 10"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call 555-0123Johnson", "call <PHONE><NAME>"),
        ("Johnson078-05-1120", "<NAME><SSN>"),
        ("+" + 40 * "1", "<PHONE><CARD>"),  # what the first tag leaves over
    ],
)
def test_what_begins_or_ends_at_a_cut_is_found_as_well(text: str, expected: str):
    assert redacted(text, name="Johnson") == expected


def test_a_text_column_alone_settles_too():
    frame = pl.DataFrame({"notes": ["+" + 40 * "1", None]})
    assert frame.select(redact("notes", [NOTES]))["notes"].to_list() == ["<PHONE><CARD>", None]


@given(st.text(alphabet="0123456789+-. ()@:/aAoJhns", max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_pattern_is_left_whatever_is_cut(text: str):
    once = redacted(text, name="Johns", zip="0123")
    assert pl.DataFrame({"notes": [once]}).select(leftover("notes")).item() == 0


def test_rows_keep_their_own_values_apart():
    frame = pl.DataFrame(
        {
            "id": [1001, 1002, 1003],
            "name": ["Ann Lee", "Bob Ray", None],
            "mail": ["a@b.de", None, "c@d.de"],
            "born": [None, None, None],
            "zip": ["10115", "20095", "80331"],
            "age": [1, 2, 3],
            "notes": ["Bob met Ann", "Bob met Ann", "Bob met Ann"],
        },
        schema_overrides={"born": pl.Date},
    )
    made = frame.lazy().select(redact("notes", COLUMNS)).collect()["notes"].to_list()
    assert made == ["Bob met <NAME>", "<NAME> met Ann", "Bob met Ann"]


@given(st.text(max_size=60), st.text(alphabet="abAB ıİß.-", max_size=12))
@settings(max_examples=100, deadline=None)
def test_redacting_twice_changes_nothing_more(text: str, name: str):
    once = redacted(text, name=name)
    assert once is not None
    assert pl.DataFrame({"notes": [once]}).select(leftover("notes")).item() == 0


def test_tags_name_patterns_and_identifying_columns():
    assert set(tags(COLUMNS)) == {*PATTERNS, "id", "name", "mail", "born", "zip"}


PUBLISHED = {
    "EMAIL_ADDRESS": 1.0,
    "IBAN_CODE": 1.0,
    "CREDIT_CARD": 1.0,
    "US_SSN": 1.0,
    "IP_ADDRESS": 1.0,
    "DOMAIN_NAME": 1.0,
    "PHONE_NUMBER": 0.98,
}


@pytest.mark.real
def test_share_of_published_spans_that_patterns_find(real_data):
    """Presidio's generated texts; the patterned kinds are 12.8 % of all marked spans, the others are not found."""
    path = real_data / "pii_text" / "synth_dataset_v2.json.gz"
    texts = json.loads(gzip.decompress(path.read_bytes()))
    frame = pl.DataFrame({"notes": [text["full_text"] for text in texts]}).select(redact("notes", [NOTES]))
    spans = [(at, span) for at, text in enumerate(texts) for span in text["spans"]]
    for kind, least in PUBLISHED.items():
        of_kind = [(at, span["entity_value"]) for at, span in spans if span["entity_type"] == kind]
        gone = sum(value not in frame["notes"][at] for at, value in of_kind)
        assert gone / len(of_kind) >= least, kind


def test_leftovers_are_counted_by_text():
    frame = pl.DataFrame({"notes": ["a@b.de and c@d.de", "nothing", None, "<EMAIL>", "call 555-123-4567"]})
    assert frame.select(leftover("notes")).item() == 2
