"""The declaration of a pipeline, read from `pipelines/<name>/defs.yaml`: the one contract that every stage reads.

Imports nothing but pydantic and PyYAML, so that a code location and the training process can load it at no cost.
"""

from kedge.spec.canonical import canonical, digest
from kedge.spec.columns import Column
from kedge.spec.declaration import Declaration
from kedge.spec.gates import Gate
from kedge.spec.load import Problem, SpecError, load, load_all
from kedge.spec.model import SpecModel
from kedge.spec.names import check_name, column_name
from kedge.spec.quantity import days
from kedge.spec.sections import (
    ChampionPolicy,
    Compute,
    Drift,
    Evaluation,
    Privacy,
    Retrain,
    Training,
)
from kedge.spec.source import Partitions, Source
from kedge.spec.treatment import Treatment

Attributes = Declaration  # what stands under `attributes:`, before the folder gives it a name

__all__ = [
    "Attributes",
    "ChampionPolicy",
    "Column",
    "Compute",
    "Declaration",
    "Drift",
    "Evaluation",
    "Gate",
    "Partitions",
    "Privacy",
    "Problem",
    "Retrain",
    "Source",
    "SpecError",
    "SpecModel",
    "Training",
    "Treatment",
    "canonical",
    "check_name",
    "column_name",
    "days",
    "digest",
    "load",
    "load_all",
]
