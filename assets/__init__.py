"""One thin file per asset: load, one kedge call, the event. Each function makes the asset of one declaration."""

from collections.abc import Callable

import dagster as dg

from assets.anonymized import anonymized
from assets.champion import champion
from assets.drift_report import drift_report
from assets.evaluation import evaluation
from assets.model import model
from assets.predictions import predictions
from assets.raw import raw
from assets.training_set import training_set
from assets.validated import validated
from kedge.spec import Declaration

NIGHTLY = ("raw", "validated", "quarantine", "anonymized", "predictions", "drift_report")
RETRAIN = ("training_set", "model", "evaluation", "champion")

_ASSETS: tuple[Callable[[Declaration], dg.AssetsDefinition], ...] = (
    raw,
    validated,
    anonymized,
    training_set,
    model,
    evaluation,
    champion,
    predictions,
    drift_report,
)


def build(declaration: Declaration) -> list[dg.AssetsDefinition]:
    """All assets of a declared pipeline, upstream first."""
    return [make(declaration) for make in _ASSETS]
