"""Numbers and counts: losses against scikit-learn, constants, and models that find what was put in."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import mean_poisson_deviance, mean_squared_error, r2_score

from kedge.errors import Terminal
from kedge.training.config import Config
from kedge.training.fit import Examples, Fitted, fit
from kedge.training.head import Head
from kedge.training.model import SETTINGS, TabularModel
from kedge.training.preprocess import Feature

SMALL = Config(hidden=32, epochs=4)
FEATURES = (Feature("age", "numeric"), Feature("area", "category"))


def policies(rows: int, seed: int = 0) -> pl.DataFrame:
    """A price and claims that depend on age and area; claims in proportion to the years at risk."""
    rng = np.random.default_rng(seed)
    age, area = rng.uniform(18, 80, rows), rng.choice(["town", "country"], rows)
    rate = 0.3 * np.exp((age < 30) * 1.2 - (area == "country") * 0.7)
    years = rng.uniform(0.05, 1, rows)
    return pl.DataFrame(
        {
            "age": age,
            "area": area,
            "rate": rate,
            "years": years,
            "claims": rng.poisson(rate * years),
            "price": 40_000 + 300 * age + 9_000 * (area == "town") + rng.normal(0, 3_000, rows),
        }
    )


def examples(frame: pl.DataFrame, **changes: object) -> Examples:
    usual: dict[str, object] = {
        "table": frame.to_arrow(),
        "features": FEATURES,
        "target": "claims",
        "positive": "",
        "subject": None,
        "validation": np.arange(len(frame)) % 10 == 0,
        "kind": "count",
        "exposure": "years",
    }
    return Examples(**(usual | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def counted() -> Fitted:
    return fit(examples(policies(12_000)), SMALL)


@pytest.fixture(scope="module")
def priced() -> Fitted:
    return fit(examples(policies(4_000), target="price", kind="regression", exposure=None), SMALL)


def test_output_0_is_the_constant_model() -> None:
    frame = policies(500)
    y, years = frame["claims"].to_numpy().astype(float), frame["years"].to_numpy()
    zero = torch.zeros(1)
    assert float(Head.fit("count", y, years).link(zero)) == pytest.approx(y.sum() / years.sum())
    assert float(Head.fit("count", y, None).link(zero)) == pytest.approx(y.mean())
    price = frame["price"].to_numpy()
    head = Head.fit("regression", price, None)
    assert float(head.link(zero)) == pytest.approx(price.mean())
    assert float(head.link(zero + 1)) == pytest.approx(price.mean() + price.std())
    assert Head.fit("regression", np.full(20, 7.0), None).scale == 1.0
    assert Head.fit("count", np.zeros(20), None) == Head("count")


def test_losses_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    output, y = rng.normal(0, 0.5, 200), rng.poisson(0.7, 200).astype(float)
    years, price = rng.uniform(0.1, 2, 200), rng.normal(500, 90, 200)
    for exposure in (years, None):
        head = Head.fit("count", y, exposure)
        exposed = None if exposure is None else torch.tensor(exposure)
        rate = head.link(torch.tensor(output)).numpy()
        half = mean_poisson_deviance(y, rate * (1 if exposure is None else exposure)) / 2
        assert float(head.loss(torch.tensor(output), torch.tensor(y), exposed)) == pytest.approx(half)
        assert head.validation_loss(rate, y, exposure) == pytest.approx(half)
    head = Head.fit("regression", price, None)
    target, found = head.targets(price), head.link(torch.tensor(output)).numpy()
    error = mean_squared_error(price, found) / price.var()
    assert float(head.loss(torch.tensor(output), torch.tensor(target), None)) == pytest.approx(error)
    assert head.validation_loss(found, target, None) == pytest.approx(error)


def test_counts_are_found(counted: Fitted) -> None:
    """Close to what put them there, on fresh rows, and in proportion to the exposure."""
    fresh = policies(20_000, seed=1)
    expected = (fresh["rate"] * fresh["years"]).to_numpy()
    scores = counted.model.score(fresh)
    y = fresh["claims"].to_numpy()
    mean = np.full(len(y), y.mean() / fresh["years"].mean()) * fresh["years"].to_numpy()
    gain = 1 - mean_poisson_deviance(y, scores) / mean_poisson_deviance(y, mean)
    best = 1 - mean_poisson_deviance(y, expected) / mean_poisson_deviance(y, mean)
    assert 0.8 * best < gain <= 1.05 * best
    assert scores.sum() / y.sum() == pytest.approx(1, abs=0.07)
    twice = counted.model.score(fresh.with_columns(pl.col("years") * 2))
    assert np.allclose(twice, 2 * scores)
    assert counted.base_rate == pytest.approx(policies(12_000)["claims"].sum() / policies(12_000)["years"].sum())


def test_numbers_are_found_in_their_own_unit(priced: Fitted) -> None:
    fresh = policies(4_000, seed=1)
    scores = priced.model.score(fresh)
    assert r2_score(fresh["price"], scores) > 0.75, "noise leaves .81"
    assert scores.mean() == pytest.approx(fresh["price"].mean(), rel=0.02)


def test_a_saved_model_says_what_its_scores_mean(counted: Fitted, priced: Fitted) -> None:
    frame = policies(300, seed=2)
    for fitted, exposure in ((counted, "years"), (priced, None)):
        files = fitted.model.save()
        again = TabularModel.load(files)
        assert np.array_equal(again.score(frame), fitted.model.score(frame))
        assert (again.head, again.exposure) == (fitted.model.head, exposure)
        assert b'"kind": "' in files[SETTINGS]
    assert counted.model.features == ("age", "area", "years")
    with pytest.raises(Terminal, match="column years"):
        counted.model.score(frame.drop("years"))


def test_the_same_seed_gives_the_same_bits() -> None:
    first, second = (fit(examples(policies(600)), replace(SMALL, epochs=1, steps=5)) for _ in range(2))
    assert first.model.save() == second.model.save()


def test_rows_without_a_known_outcome_or_exposure_do_not_train() -> None:
    frame = policies(600).with_columns(
        claims=pl.when(pl.int_range(pl.len()) < 50).then(None).otherwise("claims"),
        years=pl.when(pl.int_range(pl.len()) >= 580).then(0.0).otherwise("years"),
        price=pl.when(pl.int_range(pl.len()) < 30).then(float("inf")).otherwise("price"),
    )
    short = replace(SMALL, epochs=1, steps=1)
    assert fit(examples(frame), short).num_rows["without_outcome"] == 70
    price = examples(frame, target="price", kind="regression", exposure=None)
    assert fit(price, short).num_rows["without_outcome"] == 30


def test_a_target_of_one_value_is_refused() -> None:
    with pytest.raises(Terminal, match="needs different values among the training rows; got one"):
        fit(examples(policies(100).with_columns(claims=pl.lit(0))), SMALL)


def test_a_mean_of_ten_people_is_not_kept() -> None:
    few = policies(10, seed=3).with_columns(claims=pl.int_range(pl.len()) % 2)
    fitted = fit(examples(few), replace(SMALL, epochs=1, steps=1))
    assert fitted.base_rate is None
    assert fitted.model.head == Head("count")
