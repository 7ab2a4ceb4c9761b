import polars as pl
import pytest

from kedge.quality.personal import looked_at, suspects

COLUMNS = {
    "id": {"type": "string", "role": "subject", "privacy": "token"},
    "shelf": {"type": "string"},
    "shop": {"type": "category"},
    "plan": {"type": "category", "values": ["a@b.de"]},
    "age": {"type": "integer"},
    "left": {"type": "bool", "role": "target"},
}


def look(declare, cells):
    frame = pl.DataFrame(
        {"shelf": cells, "shop": ["north"] * len(cells)}, schema={"shelf": pl.String, "shop": pl.String}
    )
    return suspects(frame.lazy(), declare(COLUMNS))


def test_only_text_that_would_be_released_as_it_is(declare):
    assert looked_at(declare(COLUMNS)) == ("shelf", "shop")


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("email", "write to x.y@example.org"),
        ("phone", "+1 303 555 0147"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("card", "4111 1111 1111 1111"),
        ("ip", "203.0.113.7"),
    ],
)
def test_one_percent_of_the_distinct_values_is_enough(declare, kind, cell):
    (found,) = look(declare, [f"code {chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(99)] + [cell])
    assert (found.column, found.kind, found.share) == ("shelf", kind, 0.01)
    assert cell not in repr(found)


def test_less_is_not(declare):
    codes = [f"code {chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(110)]
    assert look(declare, [*codes, "x.y@example.org"]) == ()


def test_every_distinct_value_counts_however_many_there_are(declare):
    """A part of them, in an order that changes, would give another verdict every time."""
    codes = [f"code {chr(97 + n % 26)}{n // 26:x}" for n in range(148_500)]
    (found,) = look(declare, codes + [f"x{n}@example.org" for n in range(1_500)])
    assert (found.kind, found.share) == ("email", 0.01)


def test_a_frequent_value_counts_once(declare):
    assert look(declare, ["x.y@example.org"] + ["code"] * 500)[0].share == 0.5


def test_ordinary_codes_dates_and_empty_columns_pass(declare):
    assert (
        look(declare, ["2026-01-31", "university.degree", "basic.4y", "[70-80)", "250.83", "V57", ">30", "12345"]) == ()
    )
    assert look(declare, [None, None]) == ()
    assert look(declare, []) == ()
