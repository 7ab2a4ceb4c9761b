"""Names of the checks that a drift report answers; pure, so that a code location may read them.

The overall verdict is `drift`, a column's `drift_<column>`. The prediction's is `prediction_drift`: a declared column
may itself be called `prediction`, and no column's check ends up with that name.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedge.spec import Declaration

OVERALL = "drift"
PREDICTION = "prediction_drift"


def column_check(column: str) -> str:
    """Name of a column's check."""
    return f"drift_{column}"


def check_names(declaration: "Declaration") -> tuple[str, ...]:
    """All checks of a pipeline's drift report: overall, prediction, target, then features in declared order."""
    columns = (declaration.target, *declaration.features)
    return (OVERALL, PREDICTION, *(column_check(name) for name in columns))
