"""The training: find the number of passes on validation rows, then train anew on all rows for so many.

For so many, but for no fewer than `Config.shortest`: the search meets its early passes at a high learning rate, where
the loss on few validation rows goes up and down by chance; the schedule of the refit is as long as the refit and ends
at a low rate. With one or two passes the model was undertrained. Tables below 1,600 rows are granted more passes than
that; stopping early keeps them from being learned by heart.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from kedge.errors import Terminal
from kedge.training.config import Config
from kedge.training.device import Device
from kedge.training.head import BINARY, Head
from kedge.training.model import one_thread
from kedge.training.network import Network
from kedge.training.phase import Diverged, Epoch, Phase, Rows, joined
from kedge.training.preprocess import Encoder

Build = Callable[[Encoder, Config], Network]


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


def optimize(
    encoder: Encoder,
    train: Rows,
    validation: Rows,
    config: Config,
    device: Device,
    *,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    build: Build = Network.of,
    head: Head = BINARY,
) -> Trained:
    """Train a network; the same rows, config and device give the same bits on CPU.

    Args:
        train: rows of the search.
        validation: rows that decide when to stop; the refit trains on them, too.
        on_epoch: hears of each pass; may raise to cancel.
        build: makes the network.
        head: what its output means.

    Raises:
        Terminal: the loss was not finite in the very first pass, so that there are no good weights.
    """
    with _reproducible(config, device):
        made: list[Epoch] = []

        def heard(epoch: Epoch) -> None:
            made.append(epoch)
            on_epoch(epoch)

        longest = config.epochs_of(len(train))
        search = Phase("search", build(encoder, config), train, validation, config, device, longest, head)
        best, stopped = _search(search, heard)
        last, finite = search, stopped != _NOT_FINITE
        if finite:
            torch.manual_seed(config.seed)
            best = max(best, min(config.shortest, longest))
            last = Phase("refit", build(encoder, config), joined(train, validation), None, config, device, best, head)
            last.good = search.good  # stands in should the very first pass of the refit diverge
            finite = _refit(last, heard)
        network = last.good
        network.settle(torch.from_numpy(last.rows.inputs.c_BC))
    reason = stopped if finite else _NOT_FINITE
    return Trained(network=network.eval(), epochs=tuple(made), best=best, stopped=reason, finite=finite)


_NOT_FINITE = "the loss was not finite; the last good weights are kept"


def _search(phase: Phase, heard: Callable[[Epoch], None]) -> tuple[int, str]:
    """Passes until the validation loss no longer falls; the best one's number and why it ended."""
    best, lowest = 0, math.inf
    for number in range(1, phase.passes + 1):
        try:
            epoch = phase.epoch(number)
        except Diverged:
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


def _refit(phase: Phase, heard: Callable[[Epoch], None]) -> bool:
    """So many passes over all rows; whether all their losses were finite."""
    for number in range(1, phase.passes + 1):
        try:
            epoch = phase.epoch(number)
        except Diverged:
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
