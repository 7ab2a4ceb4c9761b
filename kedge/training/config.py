"""Settings of a training, validated on construction."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Self

from kedge.errors import Terminal

_COUNTS = ("hidden", "layers", "embedding", "bins", "batch", "epochs", "steps", "patience", "shortest", "threads")


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a network is built and trained; defaults fit tables of 10,000 to 1,000,000 rows.

    Attributes:
        hidden: width of each hidden layer.
        layers: number of hidden layers.
        embedding: length of each feature's embedding.
        bins: most pieces of a numeric feature's piecewise-linear embedding.
        dropout: share of hidden units left out at each step; on CPU it cost 29 % of the time and gained nothing.
        rate: highest learning rate of the one-cycle schedule (Smith and Topin, arXiv:1708.07120).
        decay: AdamW's decoupled weight decay.
        clip: largest norm of a step's gradient.
        batch: rows per step, at most; small tables take smaller batches (`batch_of`).
        epochs: length of the schedule in passes over the training rows; small tables take more (`epochs_of`).
        steps: fewest steps of the schedule, for small tables.
        warmup: share of the schedule in which the learning rate rises.
        patience: passes without a better validation loss before the search stops.
        shortest: fewest passes of the refit, whatever the search says. On Adult, where it changes anything, 5 instead
            of 2 to 4 gave AUC +.000 to +.004 (3,000 to 32,561 rows); on Bank Marketing the worst of 16 hold-outs moved
            from .032 below a logistic regression's AUC to .010.
        seed: of initial weights, order of rows and dropout.
        threads: of torch on CPU. Fixed, since another number adds up in another order and gives other bits; one,
            since on a busy machine a second thread cost up to a factor 10 and on an idle one gained at most 1.4.
    """

    hidden: int = 128
    layers: int = 2
    embedding: int = 8
    bins: int = 32
    dropout: float = 0.0
    rate: float = 5e-3
    decay: float = 0.1
    clip: float = 1.0
    batch: int = 1024
    epochs: int = 5
    warmup: float = 0.1
    steps: int = 300
    patience: int = 3
    shortest: int = 5
    seed: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name in _COUNTS:
            self._need(name, "a whole number of at least 1", getattr(self, name) >= 1)
        for name in ("rate", "clip"):
            self._need(name, "a number above 0", getattr(self, name) > 0)
        self._need("decay", "a number of at least 0", self.decay >= 0)
        self._need("warmup", "a share above 0 and below 1", 0 < self.warmup < 1)
        self._need("dropout", "a share of at least 0 and below 1", 0 <= self.dropout < 1)

    def _need(self, name: str, need: str, holds: bool) -> None:
        if not holds:
            got = f"{getattr(self, name):g}"
            raise Terminal(f"training config {name}", need=need, got=got, remedy="Correct the caller.")

    def batch_of(self, num_rows: int) -> int:
        """Rows per step for a table of `num_rows`: at least 64 steps a pass, or 32 rows a step."""
        return max(32, min(self.batch, num_rows // 64))

    def epochs_of(self, num_rows: int) -> int:
        """Passes for a table of `num_rows`: so many that `steps` are made, but no more than 50 for their sake."""
        steps = ceil(num_rows / self.batch_of(num_rows))
        return max(self.epochs, min(50, ceil(self.steps / steps)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**data)
