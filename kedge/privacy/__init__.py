"""The border between the zones: identifiers go, the rest is generalised until nobody stands out.

`anonymize` does it for a night and stores the result; `release` does the same to a frame in memory, by the plan
that a model names, so that a model is always scored on rows as it was trained on them.
"""

from kedge.privacy.anonymize import CODE_VERSION, anonymize
from kedge.privacy.classes import Masked, mask, measure
from kedge.privacy.plan import Plan, PlannedColumn
from kedge.privacy.release import cross, release
from kedge.privacy.transform import transform

__all__ = [
    "CODE_VERSION",
    "Masked",
    "Plan",
    "PlannedColumn",
    "anonymize",
    "cross",
    "mask",
    "measure",
    "release",
    "transform",
]
