"""Evidently measures and draws: distances on the samples, HTML on what may be shown of them.

Evidently's import takes 5 seconds, so it happens inside functions. Its distances are called directly (a full report
computes each column's drift three times); its report then draws the coarsened columns, once, and shows the distances
and bounds that kedge judged by, so that a person reads one number and one verdict per column everywhere.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from kedge.drift.column import Column, Side
from kedge.drift.verdict import METHODS, Measured

if TYPE_CHECKING:
    import pandas as pd

_NAMES = {"numeric": "wasserstein", "category": "jensenshannon"}
_MEASURED: ContextVar[Mapping[str, Measured]] = ContextVar("measured")


def distance(column: Column) -> float:
    """Evidently's distance between the two sides; both have rows.

    Numeric: first Wasserstein distance over the reference's standard deviation (at least 0.001). Category:
    Jensen-Shannon distance with the natural logarithm.
    """
    with _quiet_import():
        import pandas as pd
        from evidently.legacy.calculations.stattests.registry import get_stattest
    reference, current = (pd.Series(side.values) for side in column.sides)
    evidently_kind = "num" if column.kind == "numeric" else "cat"
    test = get_stattest(reference, current, evidently_kind, _NAMES[column.kind])
    # Of equal distributions scipy may take the root of a rounding error just below 0.
    with np.errstate(invalid="ignore"):
        found = float(test(reference, current, evidently_kind, None).drift_score)
    return 0.0 if np.isnan(found) else found


def html(columns: Sequence[Column], measured: Mapping[str, Measured]) -> bytes:
    """Evidently's report of columns that may be shown.

    Args:
        columns: as `evidence` made them, at least one.
        measured: distance and bound of each, by name.
    """
    with _quiet_import():
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift
    _register()
    definition = DataDefinition(
        numerical_columns=[column.name for column in columns if column.kind == "numeric"],
        categorical_columns=[column.name for column in columns if column.kind == "category"],
    )
    reference, current = (
        Dataset.from_pandas(frame, data_definition=definition) for frame in (_frame(columns, 0), _frame(columns, 1))
    )
    metrics = [
        ValueDrift(column=column.name, method=_method(column), threshold=measured[column.name].bound)
        for column in columns
    ]
    token = _MEASURED.set(measured)
    try:
        # Positional: `current` first, `reference` second.
        snapshot = Report(metrics, include_tests=True).run(current, reference)
        return str(snapshot.get_html_str(as_iframe=False)).encode()
    finally:
        _MEASURED.reset(token)


def _method(column: Column) -> str:
    return f"kedge_{_NAMES[column.kind]}"


def _register() -> None:
    """Make kedge's distances drift methods of Evidently: the value judged, not the one of the coarsened column."""
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    kinds = {"numeric": ColumnType.Numerical, "category": ColumnType.Categorical}
    for kind, column_type in kinds.items():
        test = StatTest(name=f"kedge_{_NAMES[kind]}", display_name=METHODS[kind], allowed_feature_types=[column_type])
        register_stattest(test, _answer)


def _answer(reference: "pd.Series", current: "pd.Series", kind: object, threshold: float) -> tuple[float, bool]:
    measured = _MEASURED.get()[str(reference.name)]
    assert measured.value is not None  # only judged columns are drawn
    return measured.value, measured.drifted


def _frame(columns: Sequence[Column], side: int) -> "pd.DataFrame":
    """Columns side by side; those with fewer rows end in missing values, which Evidently leaves out."""
    import pandas as pd

    return pd.DataFrame({column.name: pd.Series(_shown(column, column.sides[side])) for column in columns})


def _shown(column: Column, side: Side) -> "np.typing.NDArray[np.generic]":
    """Categories as they may stand in a page: Evidently 0.7.23 writes them into a script as they are, so that
    `</script><script>` in a delivery would run in the browser of whoever reads the report."""
    if column.kind != "category":
        return side.values
    return np.array([escape(label) for label in column.labels], dtype=object)[side.values]


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Evidently 0.7.23 imports through deprecated names of numpy and litestar; remove when it no longer does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
