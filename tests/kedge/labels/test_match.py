"""Which label is whose: worked out by hand, and against a plain loop."""

from collections import defaultdict

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kedge.labels.match import CONTRADICTING, SEVERAL_ROWS, match

KEYS = ["who", "day"]


def _labels(*rows: tuple[str, int, bool]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"who": pl.String, "day": pl.Int64, "left": pl.Boolean}, orient="row")
    return frame.with_row_index("_row").with_columns(pl.col("_row").cast(pl.UInt64))


def _night(*rows: tuple[str | None, int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema={"who": pl.String, "day": pl.Int64}, orient="row")
    return frame.with_row_index("_row", offset=100).with_columns(pl.col("_row").cast(pl.UInt64))


def test_every_kind_of_label_by_hand() -> None:
    night = _night(("a", 1), ("b", 1), ("c", 1), ("twin", 1), ("twin", 1), (None, 1), ("a", 2))
    labels = _labels(
        ("b", 1, True),
        ("a", 1, False),
        ("a", 1, False),  # says it again
        ("c", 1, True),
        ("c", 1, False),  # contradicts
        ("twin", 1, True),  # whose?
        ("nobody", 1, True),
        ("a", 3, True),
    )
    found = match(labels, night, KEYS, ["left"])
    assert found.rows.rows() == [(100, False), (101, True)]
    assert found.unclear.rows() == [(3, [CONTRADICTING]), (4, [CONTRADICTING]), (5, [SEVERAL_ROWS])]
    counts = (found.contradicting, found.several_rows, found.unmatched, found.repeated)
    assert counts == (2, 1, 2, 1)


def test_a_label_can_be_unclear_for_two_reasons() -> None:
    found = match(_labels(("t", 1, True), ("t", 1, False)), _night(("t", 1), ("t", 1)), KEYS, ["left"])
    assert found.unclear["_reasons"].to_list() == [[CONTRADICTING, SEVERAL_ROWS]] * 2
    assert found.rows.is_empty()


def test_one_of_two_outcomes_that_differ_is_a_contradiction() -> None:
    labels = _labels(("a", 1, True), ("a", 1, True)).with_columns(when=pl.Series([1, None], dtype=pl.Int64))
    assert match(labels, _night(("a", 1)), KEYS, ["left"]).contradicting == 0
    assert match(labels, _night(("a", 1)), KEYS, ["left", "when"]).contradicting == 2


def test_nothing_in_nothing_out() -> None:
    found = match(_labels(), _night(), KEYS, ["left"])
    assert found.rows.schema == {"_row": pl.UInt64, "left": pl.Boolean}
    assert found.unclear.schema == {"_row": pl.UInt64, "_reasons": pl.List(pl.String)}


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 2), st.booleans()), max_size=12),
    st.lists(st.tuples(st.sampled_from([*"abc", None]), st.integers(1, 2)), max_size=8),
)
def test_as_a_plain_loop_finds_it(labels: list[tuple[str, int, bool]], night: list[tuple[str | None, int]]) -> None:
    found = match(_labels(*labels), _night(*night), KEYS, ["left"])
    said: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for who, day, left in labels:
        said[who, day].append(left)
    expected, repeated, unmatched, unclear = [], 0, 0, 0
    for key, answers in said.items():
        rows = [100 + place for place, row in enumerate(night) if row == key]
        if len(set(answers)) > 1 or len(rows) > 1:
            unclear += len(answers)
        elif not rows:
            unmatched += len(answers)
        else:
            expected.append((rows[0], answers[0]))
            repeated += len(answers) - 1
    assert sorted(expected) == found.rows.rows()
    assert (repeated, unmatched, unclear) == (found.repeated, found.unmatched, found.unclear.height)
