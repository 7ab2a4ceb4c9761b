import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.privacy.token import normalize, token, tokens

KEY = bytes(range(32))


def one(value: object, key: bytes = KEY) -> str | None:
    return tokens(pl.Series("id", [value]), key)[0]


def test_golden_token():
    """Tokens are stored: a change of this value makes every stored night a stranger to the next."""
    assert one("C000017") == "754da20cd47ad3ee01572fc22dab7d63"


@pytest.mark.parametrize(
    "written", ["  josé@example.org ", "JOSÉ@EXAMPLE.ORG", "jose\u0301@example.org", "\u00a0José@example.org\t"]
)
def test_writings_of_one_identifier_give_one_token(written: str):
    assert one(written) == one("josé@example.org")


@pytest.mark.parametrize("unseen", ["\u200b", "\u202e", "\u2067", "\u00ad", "\ufeff", "\ufe0f", "\U000e0041"])
def test_what_nobody_sees_makes_nobody_else(unseen: str):
    assert one(f"{unseen}jo{unseen}sé@example.org{unseen}") == one("josé@example.org")
    assert one(unseen) is None


def test_letters_that_look_alike_are_different_letters():
    assert one("p\u0430vel") != one("pavel")  # Cyrillic and Latin: to merge them could merge two people


@given(st.text(min_size=1))
@settings(max_examples=200, deadline=None)
def test_encoding_of_accents_and_blanks_around_do_not_matter(value: str):
    assert normalize(unicodedata.normalize("NFC", value)) == normalize(unicodedata.normalize("NFD", value))
    assert normalize(f" {value}\u2003") == normalize(value)
    assert normalize(normalize(value)) == normalize(value)


@given(st.text(alphabet=st.characters(codec="latin-1", categories=["Lu", "Ll", "Nd"]), min_size=1))
@settings(max_examples=200, deadline=None)
def test_letter_case_does_not_matter(value: str):
    assert normalize(value.upper()) == normalize(value) == normalize(value.casefold())


def test_unequal_values_and_keys_give_unequal_tokens():
    values = pl.Series("id", [f"C{number}" for number in range(10_000)])
    made = tokens(values, KEY)
    assert made.n_unique() == 10_000
    assert made.str.contains("^[0-9a-f]{32}$").all()
    assert not set(made) & set(tokens(values, bytes(32)))


def test_missing_and_blank_stand_for_nobody():
    assert tokens(pl.Series("id", [None, "", "  ", "a"]), KEY).is_null().to_list() == [True, True, True, False]


def test_numbers_are_tokenised_by_their_text():
    assert tokens(pl.Series("id", [4711, None]), KEY).to_list() == [one("4711"), None]


def test_the_expression_streams_and_keeps_rows():
    frame = pl.LazyFrame({"n": range(1000), "id": [f"C{number % 7}" for number in range(1000)]})
    made = frame.with_columns(token("id", KEY)).collect(engine="streaming").sort("n")
    assert made["id"].to_list() == [one(f"C{number % 7}") for number in range(1000)]


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30))
@settings(max_examples=100, deadline=None)
def test_a_column_gives_what_its_values_give(values: list[str | None]):
    made = tokens(pl.Series("id", values, dtype=pl.String), KEY)
    assert made.to_list() == [None if value is None else one(normalize(value)) for value in values]
