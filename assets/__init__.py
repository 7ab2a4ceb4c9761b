"""One thin file per asset: load, one kedge call, the event. Each function makes the asset of one declaration."""

import dagster as dg

from assets import (
    anonymized,
    champion,
    drift_report,
    evaluation,
    labels,
    model,
    predictions,
    raw,
    training_set,
    validated,
)
from kedge.spec import Declaration

NIGHTLY = ("raw", "validated", "quarantine", "anonymized", "predictions", "drift_report")
RETRAIN = ("training_set", "model", "evaluation", "champion")
LABELS = ("labels",)

_NOUNS = (raw, validated, anonymized, training_set, model, evaluation, champion, predictions, drift_report)


def build(declaration: Declaration) -> list[dg.AssetsDefinition]:
    """All assets of a declared pipeline, upstream first."""
    nouns = (*_NOUNS, labels) if declaration.late else _NOUNS
    return [noun.asset(declaration) for noun in nouns]
