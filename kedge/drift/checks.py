"""The checks that a drift report answers; pure, so that a code location may read them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kedge.spec import Declaration

OVERALL, PREDICTION, TARGET = "drift", "drift_prediction", "drift_target"


def feature_check(feature: str) -> str:
    """Name of a feature's check: `drift_<feature>`, told apart from the two that are no feature's."""
    name = f"drift_{feature}"
    return f"drift_column_{feature}" if name in (PREDICTION, TARGET) else name


def descriptions(declaration: "Declaration") -> dict[str, str]:
    """All checks of a pipeline's drift report, each with a sentence for people.

    Overall, features in declared order, prediction, target.
    """
    share = f"{declaration.drift.share:.0%} of the features, the prediction or the target"
    return {
        OVERALL: f"Warns when {share} have drifted from the champion's reference.",
        **{feature_check(name): _column(f"`{name}`") for name in declaration.features},
        PREDICTION: _column("what the champion predicts"),
        TARGET: _column(f"the target `{declaration.target}`"),
    }


def _column(what: str) -> str:
    return f"Warns when {what} is further from the champion's reference than matters, and than chance explains."
