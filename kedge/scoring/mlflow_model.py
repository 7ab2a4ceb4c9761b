"""What MLflow calls to load a registered model: no pickle, only safetensors and JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from kedge.training.model import TabularModel


class Scorer:
    """A model behind MLflow's `predict`."""

    def __init__(self, model: "TabularModel") -> None:
        self.model = model

    def predict(self, model_input: "pd.DataFrame", params: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
        """(n,) scores of (n,) rows as the model's plan shows them, see `TabularModel.score`.

        pandas has no dates: a column of midnights is taken for a column of dates.
        """
        import pyarrow as pa

        table = pa.Table.from_pandas(model_input, preserve_index=False)
        for place, field in enumerate(table.schema):
            if pa.types.is_timestamp(field.type):
                table = table.set_column(place, field.name, _dates(table.column(place)))
        return self.model.score(table)


def _dates(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    days = pc.floor_temporal(column, unit="day")
    return column.cast(pa.date32()) if pc.all(pc.equal(days, column), min_count=0).as_py() else column


def _load_pyfunc(path: str) -> Scorer:
    """MLflow's entry point: `path` is the folder of the model's files."""
    from kedge.training.model import TabularModel

    return Scorer(TabularModel.load({file.name: file.read_bytes() for file in Path(path).iterdir()}))
