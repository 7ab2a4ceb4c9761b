"""The training loop: find the number of passes on validation rows, then train on all rows for so many.

No DataLoader: the whole table lies in memory as three tensors, for a loader alone caps any device at 0.2 M rows/s.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from kedge.errors import Terminal
from kedge.training.config import Config
from kedge.training.device import Device
from kedge.training.model import one_thread, probabilities
from kedge.training.network import Network
from kedge.training.preprocess import Encoded, Encoder

Labels = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Build = Callable[[Encoder, Config], Network]


@dataclass(frozen=True)
class Rows:
    """Encoded rows and their labels (1 positive, 0 negative)."""

    inputs: Encoded
    y_B: Labels

    def __len__(self) -> int:
        return len(self.y_B)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One pass over the training rows; losses are mean log losses.

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


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training ended with.

    Attributes:
        network: on CPU, in evaluation mode.
        epochs: every pass of both phases.
        best: passes that the refit took.
        stopped: why no further pass was made.
        finite: False if a loss became NaN or infinite; `network` then has the last good weights.
    """

    network: Network
    epochs: tuple[Epoch, ...]
    best: int
    stopped: str
    finite: bool


class _Diverged(Exception):
    """A loss was NaN or infinite."""


def optimize(
    encoder: Encoder,
    train: Rows,
    validation: Rows,
    config: Config,
    device: Device,
    *,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    build: Build = Network.of,
) -> Trained:
    """Train a network; the same rows, config and device give the same bits on CPU.

    Args:
        train: rows of the search.
        validation: rows that decide when to stop; the refit trains on them, too.
        on_epoch: hears of each pass; may raise to cancel.
        build: makes the network.

    Raises:
        Terminal: the loss was not finite in the very first pass, so that there are no good weights.
    """
    with _reproducible(config, device):
        passes: list[Epoch] = []

        def heard(epoch: Epoch) -> None:
            passes.append(epoch)
            on_epoch(epoch)

        search = _Phase("search", build(encoder, config), train, validation, config, device, config.epochs)
        best, stopped = _search(search, heard)
        network, finite = search.good, stopped != _NOT_FINITE
        if finite:
            torch.manual_seed(config.seed)
            refit = _Phase("refit", build(encoder, config), joined(train, validation), None, config, device, best)
            refit.good = network  # stands in should the very first pass of the refit diverge
            finite = _refit(refit, best, heard)
            network = refit.good
            network.settle(torch.from_numpy(refit.rows.inputs.c_BC))
    reason = stopped if finite else _NOT_FINITE
    return Trained(network=network.eval(), epochs=tuple(passes), best=best, stopped=reason, finite=finite)


_NOT_FINITE = "the loss was not finite; the last good weights are kept"


def _search(phase: "_Phase", heard: Callable[[Epoch], None]) -> tuple[int, str]:
    """Passes until the validation loss no longer falls; the best one's number and why it ended."""
    best, lowest = 0, math.inf
    for number in range(1, phase.config.epochs + 1):
        try:
            epoch = phase.epoch(number)
        except _Diverged:
            if best == 0:
                raise _hopeless() from None
            return best, _NOT_FINITE
        heard(epoch)
        if epoch.validation_loss is not None and epoch.validation_loss < lowest:
            best, lowest = number, epoch.validation_loss
            phase.keep()
        elif number - best >= phase.config.patience:
            return best, f"no better validation loss for {phase.config.patience} passes"
    return best, "all passes were made"


def _refit(phase: "_Phase", passes: int, heard: Callable[[Epoch], None]) -> bool:
    """So many passes over all rows; whether all their losses were finite."""
    for number in range(1, passes + 1):
        try:
            epoch = phase.epoch(number)
        except _Diverged:
            return False
        phase.keep()
        heard(epoch)
    return True


def _hopeless() -> Terminal:
    return Terminal(
        "training",
        need="a finite loss",
        got="NaN or an infinite one in the first pass",
        remedy="Lower the learning rate, or look at the declared ranges of the numeric columns.",
    )


def joined(first: Rows, second: Rows) -> Rows:
    """All rows of both."""
    a, b = first.inputs, second.inputs
    pairs = ((a.x_BN, b.x_BN), (a.m_BN, b.m_BN), (a.c_BC, b.c_BC))
    return Rows(Encoded(*(np.concatenate(pair) for pair in pairs)), np.concatenate([first.y_B, second.y_B]))


class _Phase:
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
    ) -> None:
        self.passes = passes
        self.name, self.rows, self.validation, self.config, self.device = name, rows, validation, config, device
        self.network = network.to(device.kind)
        self.good = network
        self.tensors = [
            torch.from_numpy(part).to(device.kind)
            for part in (rows.inputs.x_BN, rows.inputs.m_BN, rows.inputs.c_BC, rows.y_B)
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
            _Diverged: a loss was not finite.
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
        if not math.isfinite(train_loss) or not math.isfinite(validation_loss or 0.0):
            raise _Diverged
        return Epoch(
            phase=self.name,
            number=number,
            of=self.passes,
            train_loss=train_loss,
            validation_loss=validation_loss,
            rows_per_second=len(self.rows) / seconds,
        )

    def _step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        x_BN, m_BN, c_BC, y_B = batch
        with torch.autocast(self.device.kind, torch.bfloat16, enabled=self.device.precision == "bf16"):
            logits_B = self.network(x_BN, m_BN, c_BC)
        loss = cross_entropy(logits_B.float(), y_B)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.schedule.step()
        return loss.detach()

    def _judge(self, rows: Rows) -> float:
        p = probabilities(self.network, rows.inputs, self.device.kind)
        return float(-np.mean(np.log(np.where(rows.y_B > 0, p, 1 - p).clip(1e-12))))

    def keep(self) -> None:
        """Remember the weights as they are now."""
        self.good = deepcopy(self.network).to("cpu")


@contextmanager
def _reproducible(config: Config, device: Device) -> Iterator[None]:
    """Seed, threads and algorithms for the block; the caller's random state is left as it was."""
    strict_before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[0] if device.kind == "cuda" else []), one_thread(config.threads):
        torch.manual_seed(config.seed)
        torch.use_deterministic_algorithms(device.kind == "cpu")
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict_before)
