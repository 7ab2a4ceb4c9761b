"""Rows of equal features are held out together: on every night, however they are written."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedge.errors import Terminal
from kedge.people import HELDOUT, PART, rule_id, split
from kedge.people.alike import alike
from kedge.spec import Declaration

SECRET = bytes(range(32))
GOLDEN = "thttvtthhhtthttvhttvtttt"  # first letters of the parts of ages 0 to 23 in town


def declared(**changes: object) -> Declaration:
    columns = {
        "age": {"type": "float", "nulls": "50%"},
        "since": {"type": "date", "nulls": "50%"},
        "area": {"type": "category", "nulls": "50%"},
        "claims": {"type": "integer", "min": 0, "role": "target"},
        "policy": {"type": "string", "role": "subject", "privacy": "token"},
    }
    usual = {
        "partitions": {"start": "2026-01-01"},
        "source": {"files": "{date}.csv"},
        "columns": columns,
        "evaluation": {"by": "features"},
    }
    return Declaration.named("motor", usual | changes)


def rows(count: int, seed: int = 0, night: str = "2026-01-01") -> pl.DataFrame:
    """Few different rows, many of them with missing values."""
    rng = np.random.default_rng(seed)
    age = [None if a == 0 else float(a) / 10 for a in rng.integers(0, 6, count)]
    since = [None if day == 0 else date(2020, 1, int(day)) for day in rng.integers(0, 4, count)]
    area = [[None, "", "town", "Town"][code] for code in rng.integers(0, 4, count)]
    frame = {"age": age, "since": since, "area": area, "claims": rng.poisson(0.5, count)}
    return pl.DataFrame(frame, schema_overrides={"age": pl.Float64, "since": pl.Date, "area": pl.String}).with_columns(
        policy=pl.format("P{}", pl.int_range(pl.len())), _partition=pl.lit(night), _row=pl.int_range(pl.len())
    )


def test_no_row_stands_on_both_sides() -> None:
    frame = pl.concat([rows(3_000, 0), rows(3_000, 1, "2026-01-02")])
    sides = frame.with_columns(split(frame, declared(), SECRET)).group_by("age", "since", "area")
    assert set(sides.agg(pl.col(PART).n_unique())[PART]) == {1}
    assert split(frame, declared(), SECRET).n_unique() == 3


def test_a_group_is_on_the_same_side_on_every_night_and_whoever_is_beside_it() -> None:
    frame = pl.concat([rows(2_000, 0), rows(2_000, 1, "2026-01-02")])
    whole = split(frame, declared(), SECRET)
    for night in ("2026-01-01", "2026-01-02"):
        inside = frame["_partition"] == night
        assert split(frame.filter(inside), declared(), SECRET).to_list() == whole.filter(inside).to_list()
    assert split(frame[7:8], declared(), SECRET).to_list() == [whole[7]]
    assert split(frame.reverse(), declared(), SECRET).to_list() == whole.reverse().to_list()


def test_it_does_not_matter_how_values_are_stored() -> None:
    frame = rows(500)
    part = split(frame, declared(), SECRET).to_list()
    nan = frame.with_columns(pl.col("age").fill_null(float("nan")))
    stored = frame.with_columns(pl.col("area").cast(pl.Categorical), pl.col("since").cast(pl.Datetime("ms")))
    for other in (nan, stored, frame.select(reversed(frame.columns))):
        assert split(other, declared(), SECRET).to_list() == part
    whole = frame.with_columns((pl.col("age") * 10).round())
    narrow = whole.with_columns(pl.col("age").cast(pl.Int8))
    assert split(narrow, declared(), SECRET).to_list() == split(whole, declared(), SECRET).to_list()
    zeros = pl.DataFrame({"age": [0.0, -0.0], "since": [None, None], "area": ["a", "a"]})
    assert len(alike(zeros, ["age", "since"], SECRET)[0]) == 1


CELLS = st.tuples(
    st.none() | st.floats(allow_nan=False),
    st.none() | st.text(max_size=3),
    st.none() | st.datetimes(datetime(1900, 1, 1)),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(CELLS, min_size=1, max_size=30))
def test_rows_are_alike_exactly_when_every_value_is_equal(cells: list[tuple[object, ...]]) -> None:
    schema = {"n": pl.Float64, "t": pl.String, "d": pl.Datetime("us")}
    frame = pl.DataFrame(cells, schema=schema, orient="row")
    keys, group = alike(frame, ["n", "d"], SECRET)
    places: dict[tuple[object, ...], int] = {}
    wanted = [places.setdefault(row, len(places)) for row in cells]
    assert len(keys) == len(places) == len(set(keys))
    assert len({*zip(wanted, group.tolist(), strict=True)}) == len(places)


def test_groups_are_held_out_for_ever() -> None:
    """Golden: a change holds out other rows, so that champions would be judged on rows they trained on."""
    frame = pl.DataFrame({"age": np.arange(24.0), "since": [None] * 24, "area": ["town"] * 24})
    assert "".join(side[0] for side in split(frame, declared(), SECRET)) == GOLDEN
    assert "".join(side[0] for side in split(frame, declared(), SECRET[::-1])) != GOLDEN


def test_shares_are_those_declared() -> None:
    frame = pl.DataFrame({"age": np.arange(20_000.0), "since": [None] * 20_000, "area": ["town"] * 20_000})
    part = split(frame, declared(evaluation={"by": "features", "holdout": 0.3}), SECRET)
    assert (part == HELDOUT).mean() == pytest.approx(0.3, abs=0.01)


def test_of_no_rows_there_are_no_parts() -> None:
    assert split(rows(10).clear(), declared(), SECRET).to_list() == []


def test_all_features_are_needed() -> None:
    with pytest.raises(Terminal, match="rows without area"):
        split(rows(10).drop("area"), declared(), SECRET)


def test_the_rule_names_the_features() -> None:
    columns = {"age": {"type": "float"}, "claims": {"type": "integer", "min": 0, "role": "target"}}
    assert rule_id(declared()) != rule_id(declared(columns=columns))
    assert rule_id(declared()) != rule_id(declared(evaluation={"by": "subject"}))
