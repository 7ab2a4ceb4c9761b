import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kedge.errors import Tampered, Terminal
from kedge.training.config import Config
from kedge.training.fit import Examples, Fitted, fit
from kedge.training.model import SETTINGS, WEIGHTS, TabularModel


@pytest.fixture(scope="module")
def fitted(customers: Callable[..., pl.DataFrame], examples: Callable[..., Examples]) -> Fitted:
    return fit(examples(customers(1500)), Config(hidden=32, epochs=2))


@pytest.fixture(scope="module")
def model(fitted: Fitted) -> TabularModel:
    return fitted.model


@pytest.fixture(scope="module")
def fresh(customers: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return customers(3000, seed=1)


def test_a_saved_model_gives_the_same_scores(model: TabularModel, fresh: pl.DataFrame) -> None:
    again = TabularModel.load(model.save())
    assert np.array_equal(again.score(fresh), model.score(fresh))
    assert again.save() == model.save()
    assert again.features == ("opened", "balance", "plan")


def test_scores_are_probabilities_that_mean_something(model: TabularModel, fresh: pl.DataFrame) -> None:
    scores = model.score(fresh)
    assert scores.shape == (3000,)
    assert scores.dtype == np.float64
    assert ((scores > 0) & (scores < 1)).all()
    assert scores.mean() == pytest.approx(fresh["left"].mean(), abs=0.05)
    assert scores[fresh["left"].to_numpy()].mean() > scores[~fresh["left"].to_numpy()].mean() + 0.1


def test_a_score_does_not_depend_on_the_rows_beside_it(model: TabularModel, fresh: pl.DataFrame) -> None:
    scores = model.score(fresh)
    assert np.array_equal(model.score(fresh.reverse()), scores[::-1])
    assert model.score(fresh[1234:1235]).tolist() == [scores[1234]]
    assert model.score(fresh.clear()).tolist() == []


def test_polars_and_arrow_score_the_same(model: TabularModel, fresh: pl.DataFrame) -> None:
    assert np.array_equal(model.score(fresh), model.score(fresh.to_arrow()))


def test_values_never_seen_are_scored_like_typical_ones(model: TabularModel, fresh: pl.DataFrame) -> None:
    scores = model.score(fresh)
    for odd in (pl.lit("never seen"), pl.lit(None, pl.String)):
        changed = model.score(fresh.with_columns(plan=odd))
        assert np.abs(changed - scores).mean() < 0.2
        assert changed.mean() == pytest.approx(scores.mean(), abs=0.1)
    blank = model.score(fresh.with_columns(opened=pl.lit(None, pl.Date)))
    assert blank.mean() == pytest.approx(scores.mean(), abs=0.1)


def test_other_weights_are_refused(model: TabularModel) -> None:
    files = model.save()
    flipped = bytearray(files[WEIGHTS])
    flipped[-1] ^= 1
    with pytest.raises(Tampered, match="weights"):
        TabularModel.load({**files, WEIGHTS: bytes(flipped)})


def test_another_type_than_in_training_is_refused(model: TabularModel, fresh: pl.DataFrame) -> None:
    with pytest.raises(Terminal, match="column balance: needs a number"):
        model.score(fresh.with_columns(pl.col("balance").cast(pl.String)))


def test_the_saved_settings_stand_for_eleven_people(
    customers: Callable[..., pl.DataFrame], examples: Callable[..., Examples]
) -> None:
    frame = customers(1500)
    rare = frame.with_columns(
        plan=pl.when(pl.col("_row") < 10).then(pl.lit("only ten people")).otherwise("plan"),
        balance=pl.when(pl.col("_row") == 20).then(987654321.0).otherwise("balance"),
    )
    saved = fit(examples(rare, subject=None), Config(hidden=8, epochs=1, steps=1)).model.save()[SETTINGS].decode()
    assert "only ten people" not in saved
    assert "987654321" not in saved
    assert json.loads(saved)["encoder"]["category"] == [["plan", ["basic", "flex", "plus"]]]


def test_what_cannot_be_learned_from_is_refused(
    customers: Callable[..., pl.DataFrame], examples: Callable[..., Examples]
) -> None:
    frame = customers(100)
    good = examples(frame)
    for changed, need in (
        (replace(good, features=()), "at least one feature"),
        (replace(good, validation=np.zeros(100, bool)), "validation rows"),
        (replace(good, validation=np.ones(100, bool)), "training rows"),
        (examples(frame.with_columns(left=pl.lit(True))), "both classes"),
        (examples(frame.with_columns(left=pl.lit(None, pl.Boolean))), "training rows with an outcome"),
    ):
        with pytest.raises(Terminal, match=need):
            fit(changed, Config(hidden=8, epochs=1, steps=1))


def test_rows_without_an_outcome_do_not_train(
    customers: Callable[..., pl.DataFrame], examples: Callable[..., Examples]
) -> None:
    frame = customers(1200)
    late = frame.with_columns(left=pl.when(pl.col("_row") < 1000).then("left"))
    config = Config(hidden=8, epochs=1, steps=1)
    first, second = fit(examples(late), config), fit(examples(frame[:1000]), config)
    assert first.num_rows == {"train": 900, "validation": 100, "without_outcome": 200}
    assert first.model.save() == second.model.save()
    assert first.base_rate == pytest.approx(frame[:1000]["left"].mean())


@pytest.mark.parametrize(("people", "known"), [(10, False), (11, True)])
def test_a_base_rate_stands_for_eleven_people_not_rows(
    customers: Callable[..., pl.DataFrame], examples: Callable[..., Examples], people: int, known: bool
) -> None:
    frame = customers(400).with_columns(customer=pl.format("C{}", pl.col("_row") % people))
    fitted = fit(examples(frame), Config(hidden=8, epochs=1, steps=1))
    assert (fitted.base_rate is not None) is known
    assert fitted.to_json()["base_rate"] == fitted.base_rate


def test_categories_of_a_text_target(customers: Callable[..., pl.DataFrame], examples: Callable[..., Examples]) -> None:
    frame = customers(1000)
    config = Config(hidden=8, epochs=1, steps=1)
    named = frame.with_columns(left=pl.when("left").then(pl.lit("gone")).otherwise(pl.lit("stays")))
    first, second = fit(examples(frame), config), fit(examples(named, positive="gone"), config)
    assert np.array_equal(first.model.score(frame), second.model.score(named))
    assert second.model.positive == "gone"
