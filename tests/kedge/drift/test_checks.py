from kedge.drift.checks import descriptions, feature_check
from kedge.spec import Declaration


def test_names_are_distinct_whatever_the_columns_are_called() -> None:
    features = {name: {"type": "float"} for name in ("balance", "prediction", "target")}
    declaration = Declaration.named(
        "p",
        {
            "partitions": {"start": "2026-01-01"},
            "source": {"files": "{date}.csv"},
            "columns": {**features, "left": {"type": "bool", "role": "target"}},
        },
    )
    names = tuple(descriptions(declaration))
    assert names == (
        "drift",
        "drift_balance",
        "drift_column_prediction",
        "drift_column_target",
        "drift_prediction",
        "drift_target",
    )
    assert feature_check("plan") == "drift_plan"
