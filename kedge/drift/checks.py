"""Names of the checks that a drift report answers; pure, so that a code location may read them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedge.spec import Declaration

OVERALL, PREDICTION, TARGET = "drift", "drift_prediction", "drift_target"


def feature_check(feature: str) -> str:
    """Name of a feature's check: `drift_<feature>`, told apart from the two that are no feature's."""
    name = f"drift_{feature}"
    return f"drift_column_{feature}" if name in (PREDICTION, TARGET) else name


def check_names(declaration: "Declaration") -> tuple[str, ...]:
    """All checks of a pipeline's drift report: overall, features in declared order, prediction, target."""
    return (OVERALL, *(feature_check(name) for name in declaration.features), PREDICTION, TARGET)
