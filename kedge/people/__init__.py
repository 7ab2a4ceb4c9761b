"""Who is held out, and which rows of a window belong to whom: what training, evaluation and drift share."""

from kedge.people.holdout import HELDOUT, PART, PARTS, TRAIN, VALIDATION, rule_id, split
from kedge.people.labels import labels_of, labels_of_nights
from kedge.people.subjects import Commitment, commit
from kedge.people.window import load_rows

__all__ = [
    "HELDOUT",
    "PART",
    "PARTS",
    "TRAIN",
    "VALIDATION",
    "Commitment",
    "commit",
    "labels_of",
    "labels_of_nights",
    "load_rows",
    "rule_id",
    "split",
]
