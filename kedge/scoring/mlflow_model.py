"""What MLflow calls to load a registered model: no pickle, only safetensors and JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from kedge.training.model import TabularModel


class Scorer:
    """A model behind MLflow's `predict`."""

    def __init__(self, model: "TabularModel") -> None:
        self.model = model

    def predict(self, model_input: "pd.DataFrame", params: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """(n,) probability of the positive class for (n,) rows as the model's plan shows them."""
        import pyarrow as pa

        return self.model.score(pa.Table.from_pandas(model_input, preserve_index=False))


def _load_pyfunc(path: str) -> Scorer:
    """MLflow's entry point: `path` is the folder of the model's files."""
    from kedge.training.model import TabularModel

    return Scorer(TabularModel.load({file.name: file.read_bytes() for file in Path(path).iterdir()}))
