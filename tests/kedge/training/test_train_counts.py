"""A training of counts through the lake, and what MLflow's loader makes of the model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from kedge.people import HELDOUT, load_rows
from kedge.scoring.mlflow_model import Scorer
from kedge.training.model import TabularModel
from kedge.training.train import train
from kedge.training.training_set import assemble

COLUMNS = {
    "customer": {"type": "string", "role": "subject", "privacy": "token"},
    "opened": {"type": "date"},
    "balance": {"type": "float", "nulls": "20%"},
    "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
    "calls": {"type": "integer", "role": "target", "min": 0},
    "months": {"type": "integer", "role": "exposure", "min": 1},
}


def test_counts_train_through_the_lake(bank: Callable[..., Any], customers: Any, launch_here: Any) -> None:
    found = bank(columns=COLUMNS, evaluation={"by": "features"})
    rng = np.random.default_rng(0)
    for day in range(2):
        frame = customers(3_000, seed=day).drop("left")
        months = rng.integers(1, 12, len(frame))
        calls = rng.poisson(months * np.where(frame["plan"] == "flex", 0.9, 0.2))
        found.night(day, frame.with_columns(calls=pl.Series(calls), months=pl.Series(months)))
    assemble(found.ws, found.declaration, cause="no champion", trigger="person")
    outcome = train(found.ws, found.declaration, launch=launch_here)
    assert (outcome.notes["task"], outcome.notes["exposure"]) == ("count", "months")
    model = TabularModel.load({name: outcome.version.read_bytes(name) for name in outcome.version.manifest.files})
    held = load_rows(found.ws, found.declaration, outcome.notes["nights"], {HELDOUT})
    rates = model.score(held) / held["months"].to_numpy()
    flex = (held["plan"] == "flex").to_numpy()
    assert 0.7 < rates[flex].mean() < 1.1
    assert 0.15 < rates[~flex].mean() < 0.25
    table = held.select(model.features).to_pandas()
    assert np.allclose(Scorer(model).predict(table), model.score(held))
