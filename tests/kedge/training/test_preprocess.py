import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.training.preprocess import Encoder, Feature

FEATURES = (Feature("balance", "numeric"), Feature("plan", "category"), Feature("opened", "numeric"))


@pytest.fixture(scope="module")
def frame(customers: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return customers(500)


@pytest.fixture(scope="module")
def encoder(frame: pl.DataFrame) -> Encoder:
    return Encoder.fit(frame.to_arrow(), FEATURES, np.arange(len(frame)), bins=8)


def test_rows_become_positions_indicators_and_buckets(frame: pl.DataFrame, encoder: Encoder) -> None:
    encoded = encoder.encode(frame)
    assert (encoded.x_BN.shape, encoded.m_BN.shape, encoded.c_BC.shape) == ((500, 2), (500, 2), (500, 1))
    assert encoded.m_BN[:, 0].tolist() == frame["balance"].is_null().to_list()
    assert not np.isnan(encoded.x_BN).any()
    rows = encoded.rows(slice(3, 5))
    assert len(rows) == 2
    assert rows.c_BC.tolist() == encoded.c_BC[3:5].tolist()


def test_json_keeps_every_bit(frame: pl.DataFrame, encoder: Encoder) -> None:
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    first, second = encoder.encode(frame), again.encode(frame)
    assert np.array_equal(first.x_BN, second.x_BN)
    assert np.array_equal(first.c_BC, second.c_BC)


def test_polars_and_arrow_are_the_same(frame: pl.DataFrame, encoder: Encoder) -> None:
    first, second = encoder.encode(frame), encoder.encode(frame.to_arrow())
    assert np.array_equal(first.x_BN, second.x_BN)


def test_text_types_are_the_same(frame: pl.DataFrame, encoder: Encoder) -> None:
    enum = frame.with_columns(pl.col("plan").cast(pl.Enum(["flex", "plus", "basic"])))
    assert np.array_equal(encoder.encode(frame).c_BC, encoder.encode(enum).c_BC)


def test_a_missing_feature_is_an_error(frame: pl.DataFrame, encoder: Encoder) -> None:
    with pytest.raises(Terminal, match="column plan"):
        encoder.encode(frame.drop("plan"))


def test_one_kind_of_features_is_enough(frame: pl.DataFrame) -> None:
    people = np.arange(len(frame))
    for features in (FEATURES[:1], FEATURES[1:2]):
        encoded = Encoder.fit(frame.to_arrow(), features, people, bins=8).encode(frame)
        assert (len(encoded), encoded.x_BN.shape[1] + encoded.c_BC.shape[1]) == (500, 1)
