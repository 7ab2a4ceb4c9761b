"""One phase of a training: weights, optimiser and schedule over rows that lie in memory as four tensors.

No DataLoader: a loader alone caps any device at 0.2 M rows/s.
"""

import math
import time
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from kedge.training.config import Config
from kedge.training.device import Device
from kedge.training.head import BINARY, Head
from kedge.training.model import answers
from kedge.training.network import Network
from kedge.training.preprocess import Encoded

Labels = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True)
class Rows:
    """Encoded rows and their labels (1 positive, 0 negative; numbers as `Head.targets` gives them; counts).

    Attributes:
        exposure_B: of counts; None: 1 each.
    """

    inputs: Encoded
    y_B: Labels
    exposure_B: Labels | None = None

    def __len__(self) -> int:
        return len(self.y_B)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training rows; losses are means over its rows, see `Head.loss`.

    Attributes:
        phase: search (validation rows kept apart) or refit (all rows).
        number: 1 for the first.
        of: passes that the phase may take.
        validation_loss: None in the refit.
    """

    phase: str
    number: int
    of: int
    train_loss: float
    validation_loss: float | None
    rows_per_second: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        judged = "" if self.validation_loss is None else f", validation {self.validation_loss:.5f}"
        pace = f"{self.rows_per_second:,.0f} rows/s"
        return f"{self.phase} epoch {self.number}/{self.of}: loss {self.train_loss:.5f}{judged}, {pace}"


def joined(first: Rows, second: Rows) -> Rows:
    """All rows of both."""
    a, b = first.inputs, second.inputs
    pairs = ((a.x_BN, b.x_BN), (a.m_BN, b.m_BN), (a.c_BC, b.c_BC))
    exposures = [rows.exposure_B for rows in (first, second) if rows.exposure_B is not None]
    return Rows(
        Encoded(*(np.concatenate(pair) for pair in pairs)),
        np.concatenate([first.y_B, second.y_B]),
        np.concatenate(exposures) if exposures else None,
    )


class Diverged(Exception):
    """A loss was NaN or infinite."""


class Phase:
    """Weights, optimiser and schedule of one phase; `good` is the network as of the last pass that was kept."""

    def __init__(
        self,
        name: str,
        network: Network,
        rows: Rows,
        validation: Rows | None,
        config: Config,
        device: Device,
        passes: int,
        head: Head = BINARY,
    ) -> None:
        self.passes, self.head = passes, head
        self.name, self.rows, self.validation, self.config, self.device = name, rows, validation, config, device
        self.network = network.to(device.kind)
        self.good = network
        self.tensors = [
            torch.from_numpy(part).to(device.kind)
            for part in (rows.inputs.x_BN, rows.inputs.m_BN, rows.inputs.c_BC, rows.y_B, rows.exposure_B)
            if part is not None
        ]
        self.order = torch.Generator().manual_seed(config.seed)
        self.batch = config.batch_of(len(rows))
        steps = math.ceil(len(rows) / self.batch)
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=config.rate, weight_decay=config.decay, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            max_lr=config.rate,
            total_steps=steps * passes,
            pct_start=config.warmup,
            cycle_momentum=False,
        )

    def epoch(self, number: int) -> Epoch:
        """One pass over the rows in a new order.

        Raises:
            Diverged: a loss, or a weight after the last step, was not finite.
        """
        begun = time.perf_counter()
        self.network.train()
        total = torch.zeros((), device=self.device.kind)
        order = torch.randperm(len(self.rows), generator=self.order).to(self.device.kind)
        for chosen in torch.split(order, self.batch):
            total += self._step([part[chosen] for part in self.tensors]) * len(chosen)
        train_loss = float(total) / len(self.rows)
        seconds = time.perf_counter() - begun
        validation_loss = None if self.validation is None else self._judge(self.validation)
        if not math.isfinite(train_loss) or not math.isfinite(validation_loss or 0.0) or not self._finite_weights():
            raise Diverged
        return Epoch(
            phase=self.name,
            number=number,
            of=self.passes,
            train_loss=train_loss,
            validation_loss=validation_loss,
            rows_per_second=len(self.rows) / seconds,
        )

    def _step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x_BN, m_BN, c_BC, y_B, *exposed = batch
        with torch.autocast(self.device.kind, torch.bfloat16, enabled=self.device.precision == "bf16"):
            logits_B = self.network(x_BN, m_BN, c_BC)
        loss = self.head.loss(logits_B.float(), y_B, exposed[0] if exposed else None)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def _judge(self, rows: Rows) -> float:
        found = answers(self.network, rows.inputs, self.device.kind, self.head)
        return self.head.validation_loss(found, rows.y_B, rows.exposure_B)

    def _finite_weights(self) -> bool:
        return all(bool(torch.isfinite(weights).all()) for weights in self.network.parameters())

    def keep(self) -> None:
        """Remember the weights as they are now."""
        self.good = deepcopy(self.network).to("cpu")
