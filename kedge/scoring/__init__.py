"""Models at work: everybody is scored by the champion, through the plan that the champion was trained under."""

from kedge.scoring.handout import hand_out
from kedge.scoring.predictions import predict
from kedge.scoring.scorer import load_model, scorer

__all__ = ["hand_out", "load_model", "predict", "scorer"]
