import warnings

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.privacy.classes import Masked, exposed, mask, measure

QUASI = ("age", "zone", "sex")


def people(rows: list[tuple[object, ...]], columns: tuple[str, ...] = ("age", "zone")) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None)
    return frame.with_row_index("_row").with_columns(person=pl.format("p{}", "_row"))


def test_large_classes_are_left_alone():
    frame = people([("30", "1")] * 3 + [("40", "2")] * 4)
    masked = mask(frame, ("age", "zone"), 3, "person")
    assert masked.frame.equals(frame)
    assert (masked.masked_rows, masked.dropped_rows, masked.k_measured, masked.classes) == (0, 0, 3, 2)


def test_least_loss_first():
    """Zone has two values and age three: losing the zone costs less, and is enough."""
    frame = people([("30", "1")] * 6 + [("40", "2")] * 6 + [("50", "1")] * 2 + [("50", "2")] * 2)
    masked = mask(frame, ("age", "zone"), 4, "person")
    small = masked.frame.filter(pl.col("age") == "50")
    assert small.height == 4
    assert small["zone"].null_count() == 4
    assert masked.masked_cells == {"age": 0, "zone": 4}
    assert masked.masked_rows == 4
    assert masked.k_measured == 4


def test_rows_without_any_class_are_dropped_with_nothing_left_of_their_quasi_identifiers():
    frame = people([("30", "1")] * 5 + [("40", "2"), ("50", "3")])
    masked = mask(frame, ("age", "zone"), 3, "person")
    assert masked.frame["_row"].to_list() == [0, 1, 2, 3, 4]
    assert masked.dropped["_row"].to_list() == [5, 6]
    assert masked.dropped.select(pl.all_horizontal(pl.col("age", "zone").is_null()))["age"].all()
    assert masked.masked_rows == 0


def test_rows_that_came_without_their_quasi_identifiers_hide_others():
    frame = people([("30", "1")] * 5 + [(None, None)] * 5 + [("40", "2")])
    masked = mask(frame, ("age", "zone"), 5, "person")
    assert masked.dropped_rows == 0
    assert (masked.masked_rows, masked.k_measured) == (1, 5)


def test_many_rows_of_one_person_hide_nobody():
    frame = people([("30", "1")] * 20).with_columns(person=pl.lit("somebody"))
    masked = mask(frame, ("age", "zone"), 2, "person")
    assert (masked.frame.height, masked.dropped_rows, masked.people) == (0, 20, 1)


def test_rows_of_nobody_do_not_count():
    frame = people([("30", "1")] * 4).with_columns(person=pl.Series(["a", None, None, None]))
    assert measure(frame, ("age", "zone"), "person").k == 1
    assert mask(frame, ("age", "zone"), 2, "person").dropped_rows == 4


def test_without_a_subject_every_row_is_a_person():
    frame = people([("30", "1")] * 4)
    assert measure(frame, ("age", "zone"), None).k == 4


@pytest.mark.parametrize(("rows", "dropped"), [(9, 9), (10, 0), (0, 0)])
def test_without_quasi_identifiers_everybody_is_one_class(rows: int, dropped: int):
    frame = pl.DataFrame({"person": [str(row) for row in range(rows)]}, schema={"person": pl.String})
    masked = mask(frame, (), 10, "person")
    assert (masked.dropped_rows, masked.masked_rows) == (dropped, 0)


def test_an_empty_day_is_released_empty():
    frame = people([("30", "1")]).clear()
    masked = mask(frame, ("age", "zone"), 10, "person")
    assert (masked.rows, masked.k_measured, masked.classes) == (0, 0, 0)


def test_exposed_counts_rows_in_small_classes():
    frame = people([("30", "1")] * 5 + [("40", "2"), ("40", "3")])
    assert exposed(frame, ("age", "zone"), 2, "person") == 2
    assert exposed(frame, ("age",), 2, "person") == 0
    assert exposed(frame, (), 8, "person") == 7


@st.composite
def days(draw: st.DrawFn) -> tuple[pl.DataFrame, int]:
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["20", "30", "40", None]),
                st.sampled_from(["1", "2", "3", None]),
                st.sampled_from(["f", "m", None]),
                st.sampled_from(["a", "b", "c", "d", "e", "f", "g", None]),
            ),
            max_size=40,
        )
    )
    frame = pl.DataFrame(rows, schema=dict.fromkeys((*QUASI, "person"), pl.String), orient="row")
    return frame.with_row_index("_row").with_columns(other=pl.col("_row") * 3), draw(st.integers(1, 5))


def distinct_people(frame: pl.DataFrame, quasi: tuple[str, ...]) -> list[int]:
    """Plain Python, on purpose another way than the code under test."""
    classes: dict[tuple[object, ...], set[object]] = {}
    for row in frame.iter_rows(named=True):
        members = classes.setdefault(tuple(row[name] for name in quasi), set())
        members |= {row["person"]} - {None}
    return [len(members) for members in classes.values()]


@given(days())
@settings(max_examples=150, deadline=None)
def test_properties_of_masking(drawn: tuple[pl.DataFrame, int]):
    frame, k = drawn
    masked = mask(frame, QUASI, k, "person")
    sizes = distinct_people(masked.frame, QUASI)
    assert all(size >= k for size in sizes)
    assert (masked.k_measured, masked.classes) == (min(sizes, default=0), len(sizes))
    _only_quasi_identifiers_were_lost(frame, masked)
    # Even without any quasi-identifier the dropped rows would have been too few.
    hidden = masked.frame.filter(pl.all_horizontal(pl.col(QUASI).is_null()))
    together = set(hidden["person"]) | set(masked.dropped["person"])
    assert masked.dropped.is_empty() or len(together - {None}) < k


def _only_quasi_identifiers_were_lost(frame: pl.DataFrame, masked: Masked) -> None:
    after = pl.concat([masked.frame, masked.dropped]).sort("_row")
    rest = [name for name in frame.columns if name not in QUASI]
    assert after.schema == frame.schema
    assert after.select(rest).equals(frame.select(rest))
    assert masked.frame["_row"].is_sorted()
    for name in QUASI:
        kept = after[name].is_not_null()
        assert after[name].filter(kept).equals(frame[name].filter(kept))
    lost = masked.frame.join(frame, on="_row", suffix="_old")
    cells = {name: lost.filter(pl.col(name).is_null() & pl.col(f"{name}_old").is_not_null())["_row"] for name in QUASI}
    assert masked.masked_cells == {name: rows.len() for name, rows in cells.items()}
    assert masked.masked_rows == len({row for rows in cells.values() for row in rows})


@given(days(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_rows_does_not_matter(drawn: tuple[pl.DataFrame, int], random: object):
    frame, k = drawn
    first = mask(frame, QUASI, k, "person")
    again = mask(frame.sample(fraction=1, shuffle=True, seed=1), QUASI, k, "person")
    assert first.frame.equals(again.frame.sort("_row"))
    assert first.dropped.equals(again.dropped.sort("_row"))


@pytest.mark.parametrize("seed", range(3))
def test_k_agrees_with_pycanon(seed: int):
    """pycanon 1.0 counts rows: with one row a person that is the same."""
    from pycanon import anonymity

    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "age": rng.choice(["20", "30", "40", "50"], 800, p=[0.4, 0.3, 0.25, 0.05]),
            "zone": rng.choice(["1", "2", "3"], 800),
            "sex": rng.choice(["f", "m"], 800),
            "person": [str(row) for row in range(800)],
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pycanon's own pandas calls
        assert measure(frame, QUASI, "person").k == anonymity.k_anonymity(frame.to_pandas(), list(QUASI))
        masked = mask(frame, QUASI, 15, "person")
        filled = masked.frame.with_columns(pl.col(QUASI).fill_null("missing")).to_pandas()
        assert masked.masked_rows > 0
        assert masked.k_measured == anonymity.k_anonymity(filled, list(QUASI)) >= 15


def test_more_than_eight_quasi_identifiers_end_with_all_of_them():
    rng = np.random.default_rng(0)
    names = [f"q{number}" for number in range(11)]
    frame = pl.DataFrame({name: rng.integers(0, 3, 60) for name in names} | {"person": range(60)})
    masked = mask(frame, names, 5, "person")
    assert masked.k_measured >= 5
    assert masked.frame.height + masked.dropped_rows == 60
    assert masked.dropped_rows < 5
