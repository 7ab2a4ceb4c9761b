"""Rows in, model out: what the training process does, usable from a notebook."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from kedge.errors import Terminal
from kedge.training import arrow
from kedge.training.arrow import Codes
from kedge.training.config import Config
from kedge.training.device import Device, choose
from kedge.training.loop import optimize
from kedge.training.model import TabularModel
from kedge.training.numeric import PEOPLE
from kedge.training.phase import Epoch, Rows
from kedge.training.preprocess import Encoder, Feature

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows with known outcomes.

    Attributes:
        table: features and target; rows without an outcome are left out of the training.
        features: what the model sees.
        target, positive: column to predict, and its positive class as text.
        subject: column that says whose row it is; None: every row is a person.
        validation: rows that decide when to stop.
    """

    table: pa.Table
    features: Sequence[Feature]
    target: str
    positive: str
    subject: str | None
    validation: Mask


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model and how it came about.

    Attributes:
        model: as it goes into production.
        epochs, best, stopped, finite: as in `loop.Trained`.
        device: where it was trained.
        num_rows: rows by use: train, validation, without_outcome.
        base_rate: share of the positive class among all rows that trained; None if they are of too few people.
    """

    model: TabularModel
    epochs: Sequence[Epoch]
    best: int
    stopped: str
    finite: bool
    device: Device
    num_rows: dict[str, int] = field(default_factory=dict)
    base_rate: float | None

    def to_json(self) -> dict[str, Any]:
        """Everything but the model."""
        return {
            "epochs": [epoch.to_json() for epoch in self.epochs],
            "best": self.best,
            "stopped": self.stopped,
            "finite": self.finite,
            "device": self.device.to_json(),
            "rows": dict(self.num_rows),
            "base_rate": self.base_rate,
            "config": self.model.config.to_json(),
        }


def fit(
    examples: Examples,
    config: Config,
    *,
    device: Device | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Fitted:
    """Fit preprocessing and network.

    Args:
        examples: rows with outcomes.
        config: size, rates, seed.
        device: by default what `auto` chooses.
        on_epoch: hears of each pass.

    Raises:
        Terminal: no features, no rows, one class only, or the loss was never finite.
    """
    device = device or choose("auto")
    outcomes = arrow.texts(examples.table, examples.target)
    known = outcomes.is_valid().to_numpy(zero_copy_only=False)
    y_B = np.asarray(pa.compute.equal(outcomes, examples.positive).fill_null(False), np.float32)
    validation = examples.validation & known
    train = known & ~examples.validation
    _refuse(examples, y_B, train, validation)
    learned_from = examples.table.filter(pa.array(known))
    people = _people(learned_from, examples.subject)
    encoder = Encoder.fit(learned_from, examples.features, people, bins=config.bins)
    encoded = encoder.encode(examples.table)
    searched, judged = (Rows(encoded.rows(side), y_B[side]) for side in (train, validation))
    trained = optimize(encoder, searched, judged, config, device, on_epoch=on_epoch)
    return Fitted(
        model=TabularModel(encoder, trained.network, config, examples.positive),
        epochs=trained.epochs,
        best=trained.best,
        stopped=trained.stopped,
        finite=trained.finite,
        device=device,
        num_rows={
            "train": int(train.sum()),
            "validation": int(validation.sum()),
            "without_outcome": int((~known).sum()),
        },
        base_rate=float(y_B[known].mean()) if len(np.unique(people)) >= PEOPLE else None,
    )


def _people(table: pa.Table, subject: str | None) -> Codes:
    if subject is None:
        return np.arange(table.num_rows, dtype=np.int64)
    return arrow.codes(arrow.texts(table, subject))


def _refuse(examples: Examples, y_B: Any, train: Mask, validation: Mask) -> None:
    """Rows that nothing can be learned from."""
    if not examples.features:
        raise _unfit("columns", "at least one feature", "none", "Release a column, or say feature: true.")
    for name, side in (("training", train), ("validation", validation)):
        if not side.any():
            raise _unfit("training_set", f"{name} rows with an outcome", "none", "Wait for more nights.")
    if len(set(y_B[train])) < 2:
        raise _unfit(
            f"columns.{examples.target}", "both classes among the training rows", "one", "Wait for more nights."
        )


def _unfit(setting: str, need: str, got: str, remedy: str) -> Terminal:
    return Terminal(setting, need=need, got=got, remedy=remedy)
