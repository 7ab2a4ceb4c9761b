from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.drift import column as columns
from kedge.drift.column import Column


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def column() -> Callable[..., Column]:
    """A tested column from two plain arrays; `people` are the codes behind the rows of each side."""

    def make(reference: Any, current: Any, people: tuple[Any, Any] | None = None) -> Column:
        frames = []
        for number, values in enumerate((reference, current)):
            frame = pl.DataFrame({"x": values})
            who = pl.Series("_person", people[number]) if people else columns.people(frame, None)
            frames.append(frame.with_columns(who.cast(pl.Int64)))
        numeric = frames[0]["x"].dtype.is_numeric() or frames[0]["x"].dtype.is_temporal()
        return (columns.numeric if numeric else columns.category)("x", *frames)

    return make
