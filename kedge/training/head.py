"""What the network's output means: log-odds of a class, a standardized number, or the logarithm of a rate.

Shapes: B rows. The output's origin is the constant model: the mean of the target, or the mean rate. It is kept beside
the network and not in its last bias, which weight decay would pull towards 0.

Squared error and not Huber's loss (Huber 1964) for numbers: what is wanted is the mean, and of a skewed target Huber's
loss finds something else. Gradients are clipped already. On made-up skewed targets (4,000 rows, mean exp(.7 x + group),
lognormal noise of sigma 0.5 and 1) squared error came closer to the true mean in 10 of 10 trials: r2 against it .95 and
.91, with Huber's loss .93 and .77.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

Kind: TypeAlias = Literal["binary", "regression", "count"]
Floats: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class Head:
    """The meaning of an output.

    Attributes:
        kind: of the target.
        center: of a regression the mean of the target, of counts the logarithm of the mean rate.
        scale: of a regression the standard deviation of the target.
    """

    kind: Kind = "binary"
    center: float = 0.0
    scale: float = 1.0

    @classmethod
    def fit(cls, kind: Kind, y_B: Floats, exposure_B: Floats | None) -> Self:
        """The head whose output 0 is the constant model of these rows, which must be of at least 11 people.

        Args:
            y_B: known outcomes.
            exposure_B: above 0; None: 1 each.
        """
        if kind == "regression":
            return cls(kind, float(y_B.mean()), float(y_B.std()) or 1.0)
        if kind == "count":
            exposed = float(len(y_B) if exposure_B is None else exposure_B.sum())
            return cls(kind, float(np.log(y_B.sum() / exposed))) if y_B.any() else cls(kind)
        return cls(kind)

    def targets(self, y_B: Floats) -> Floats:
        """Outcomes as `loss` takes them: those of a regression standardized, all others as they are."""
        return (y_B - self.center) / self.scale if self.kind == "regression" else y_B

    def loss(self, output_B: Tensor, target_B: Tensor, exposure_B: Tensor | None) -> Tensor:
        """Mean over the rows: log loss, squared error in standard deviations, or half the Poisson deviance."""
        if self.kind == "binary":
            return cross_entropy(output_B, target_B)
        if self.kind == "regression":
            return torch.nn.functional.mse_loss(output_B, target_B)
        log_mean_B = output_B + self.center
        if exposure_B is not None:
            log_mean_B = log_mean_B + torch.log(exposure_B)
        saturated_B = torch.xlogy(target_B, target_B) - target_B
        return (torch.exp(log_mean_B) - target_B * log_mean_B + saturated_B).mean()

    def link(self, output_B: Tensor) -> Tensor:
        """Chance of the positive class, number in the target's unit, or rate per unit of exposure; float64."""
        if self.kind == "binary":
            return torch.sigmoid(output_B.double())
        if self.kind == "regression":
            return output_B.double() * self.scale + self.center
        return torch.exp(output_B.double() + self.center)

    def validation_loss(self, answer_B: Floats, target_B: Any, exposure_B: Any) -> float:
        """The mean of `loss` from answers of `link`, in float64."""
        if self.kind == "binary":
            return float(-np.mean(np.log(np.where(target_B > 0, answer_B, 1 - answer_B).clip(1e-12))))
        if self.kind == "regression":
            return float(np.mean(np.square((answer_B - self.center) / self.scale - target_B)))
        y_B = np.asarray(target_B, np.float64)
        mean_B = answer_B if exposure_B is None else answer_B * exposure_B
        log_ratio_B = np.log(np.where(y_B > 0, y_B, 1.0)) - np.log(mean_B)
        return float(np.mean(mean_B - y_B + np.where(y_B > 0, y_B * log_ratio_B, 0.0)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)


BINARY = Head()
