"""The champion as MLflow serves it gives kedge's scores, and loading it unpickles nothing."""

from typing import Any

import numpy as np
import pytest

from kedge.lake import ALL
from kedge.registry.tracking import Tracking
from kedge.scoring import load_model


@pytest.mark.filterwarnings("ignore::UserWarning")  # importing mlflow.pyfunc warns about a type hint of its own
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mlflow_loads_and_scores_the_registered_model(bank: Any) -> None:
    version = bank.ws.dataset("bank", "model").current(ALL)
    model = load_model(bank.ws, bank.declaration, version)
    tracking = Tracking.open(bank.ws.settings)
    with tracking.run("bank", version.id) as run:
        run.register(model.save())
    import mlflow

    mlflow.set_tracking_uri(bank.ws.settings.mlflow_uri)
    served = mlflow.pyfunc.load_model("models:/bank@challenger")
    rows = bank.ws.dataset("bank", "anonymized").current("2026-01-01").scan().collect()
    assert np.array_equal(served.predict(rows.select(model.features).to_pandas()), model.score(rows))
