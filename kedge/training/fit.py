"""Rows in, model out: what the training process does, usable from a notebook."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from kedge.errors import Terminal
from kedge.outcome import FEWEST_PEOPLE
from kedge.training import arrow
from kedge.training.arrow import Codes, Floats
from kedge.training.config import Config
from kedge.training.device import Device, choose
from kedge.training.head import Head, Kind
from kedge.training.loop import optimize
from kedge.training.model import TabularModel
from kedge.training.phase import Epoch, Rows
from kedge.training.preprocess import Encoded, Encoder, Feature

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows with known outcomes.

    Attributes:
        table: features and target; rows without an outcome are left out of the training.
        features: what the model sees.
        target, positive: column to predict, and its positive class as text (binary targets).
        subject: column that says whose row it is; None: every row is a person.
        validation: rows that decide when to stop.
        kind: of the target: binary, regression (a number) or count.
        exposure: column that says how long a row was at risk; None: 1 each.
    """

    table: pa.Table
    features: Sequence[Feature]
    target: str
    positive: str
    subject: str | None
    validation: Mask
    kind: Kind = "binary"
    exposure: str | None = None

    def outcomes(self) -> tuple[Floats, Mask]:
        """Outcomes as numbers and which of them are known; without an exposure above 0 none is."""
        if self.kind == "binary":
            texts = arrow.texts(self.table, self.target)
            is_positive = pa.compute.equal(texts, self.positive).fill_null(False)
            return np.asarray(is_positive, np.float64), texts.is_valid().to_numpy(zero_copy_only=False)
        y_B = arrow.floats(self.table, self.target)
        exposure_B = self.exposures()
        return y_B, np.isfinite(y_B) if exposure_B is None else np.isfinite(y_B) & (exposure_B > 0)

    def exposures(self) -> Floats | None:
        """(rows,) exposures, NaN where missing; None without such a column."""
        return arrow.floats(self.table, self.exposure) if self.exposure else None


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model and how it came about.

    Attributes:
        model: as it goes into production.
        epochs, best, stopped, finite: as in `loop.Trained`.
        device: where it was trained.
        num_rows: rows by use: train, validation, without_outcome.
        base_rate: share of the positive class among all rows that trained, mean of a number, or counts per unit of
            exposure; None if they are of too few people.
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
        Terminal: no features, no rows, one class or value only, or the loss was never finite.
    """
    device = device or choose("auto")
    y_B, known = examples.outcomes()
    exposure_B = examples.exposures()
    validation = examples.validation & known
    train = known & ~examples.validation
    _refuse(examples, y_B, train, validation)
    learned_from = examples.table.filter(pa.array(known))
    people = _people(learned_from, examples.subject)
    encoder = Encoder.fit(learned_from, examples.features, people, bins=config.bins)
    encoded = encoder.encode(examples.table)
    enough = len(np.unique(people)) >= FEWEST_PEOPLE
    rates = (y_B[known], None if exposure_B is None else exposure_B[known])
    head = Head.fit(examples.kind, *rates) if enough else Head(examples.kind)
    searched, judged = (_rows(encoded, head, y_B, exposure_B, side) for side in (train, validation))
    trained = optimize(encoder, searched, judged, config, device, on_epoch=on_epoch, head=head)
    return Fitted(
        model=TabularModel(encoder, trained.network, config, examples.positive, head, examples.exposure),
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
        base_rate=_rate(*rates) if enough else None,
    )


def _rows(encoded: Encoded, head: Head, y_B: Floats, exposure_B: Floats | None, side: Mask) -> Rows:
    exposed = None if exposure_B is None else exposure_B[side].astype(np.float32)
    return Rows(encoded.rows(side), head.targets(y_B[side]).astype(np.float32), exposed)


def _rate(y_B: Floats, exposure_B: Floats | None) -> float:
    return float(y_B.mean()) if exposure_B is None else float(y_B.sum() / exposure_B.sum())


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
    if len(np.unique(y_B[train])) < 2:
        need = "both classes" if examples.kind == "binary" else "different values"
        raise _unfit(f"columns.{examples.target}", f"{need} among the training rows", "one", "Wait for more nights.")


def _unfit(setting: str, need: str, got: str, remedy: str) -> Terminal:
    return Terminal(setting, need=need, got=got, remedy=remedy)
