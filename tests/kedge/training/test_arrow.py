from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from kedge.errors import Terminal
from kedge.training import arrow


def test_numbers_dates_and_datetimes_are_read_as_float64() -> None:
    table = pl.DataFrame(
        {
            "whole": [1, None],
            "decimal": [0.5, float("inf")],
            "day": [date(1970, 1, 3), date(1969, 12, 31)],
            "moment": [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), None],
            "nothing": [None, None],
        }
    ).to_arrow()
    found = {name: arrow.floats(table, name).tolist() for name in table.column_names}
    assert found["day"] == [2.0, -1.0]
    assert found["whole"][0] == 1.0
    assert found["decimal"][0] == 0.5
    assert found["moment"][0] == 1e6
    assert all(np.isnan(found[name][1]) for name in ("whole", "decimal", "moment", "nothing"))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_a_datetime_means_the_same_in_every_unit(unit: str) -> None:
    moments = pl.DataFrame({"moment": pl.Series([datetime(2026, 1, 1)], dtype=pl.Datetime(unit))}).to_arrow()
    assert arrow.floats(moments, "moment").tolist() == [datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6]


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["a", "b"])])
def test_texts_are_read_from_every_text_type(dtype: pl.DataType) -> None:
    table = pl.DataFrame({"plan": pl.Series(["a", None, "b"], dtype=dtype)}).to_arrow()
    assert arrow.texts(table, "plan").to_pylist() == ["a", None, "b"]


def test_booleans_are_true_and_false() -> None:
    assert arrow.texts(pa.table({"left": [True, False, None]}), "left").to_pylist() == ["true", "false", None]


def test_a_column_in_pieces_is_one_column() -> None:
    pieces = pa.chunked_array([["a"], ["b", "a"]])
    assert arrow.codes(arrow.texts(pa.table({"who": pieces}), "who")).tolist() == [0, 1, 0]


@pytest.mark.parametrize("numbers", [[], [3], [3, 1, 3, 2, 1]])
def test_distinct_numbers_are_sorted(numbers: list[int]) -> None:
    assert arrow.distinct(np.array(numbers, np.int64)).tolist() == sorted(set(numbers))


def test_errors_name_the_column_and_no_value() -> None:
    table = pa.table({"who": ["Erika Mustermann"]})
    with pytest.raises(Terminal, match="column balance: needs to be among the rows"):
        arrow.floats(table, "balance")
    with pytest.raises(Terminal, match="column who: needs a number") as caught:
        arrow.floats(table, "who")
    assert "Erika" not in str(caught.value)
