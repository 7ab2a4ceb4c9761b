"""One thin file per asset: load, one kedge call, the event. Each function makes the asset of one declaration."""

import dagster as dg

from assets import (
    anonymized,
    champion,
    drift_report,
    evaluation,
    model,
    predictions,
    raw,
    training_set,
    validated,
)
from kedge.spec import Declaration

NIGHTLY = ("raw", "validated", "quarantine", "anonymized", "predictions", "drift_report")
RETRAIN = ("training_set", "model", "evaluation", "champion")

_NOUNS = (raw, validated, anonymized, training_set, model, evaluation, champion, predictions, drift_report)


def build(declaration: Declaration) -> list[dg.AssetsDefinition]:
    """All assets of a declared pipeline, upstream first."""
    return [noun.asset(declaration) for noun in _NOUNS]
