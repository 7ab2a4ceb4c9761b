from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

from kedge.errors import Terminal
from kedge.training.config import Config
from kedge.training.device import Device, choose
from kedge.training.loop import Trained, optimize
from kedge.training.model import answers
from kedge.training.network import Network
from kedge.training.phase import Epoch, Rows
from kedge.training.preprocess import Encoder, Feature

FEATURES = (Feature("opened", "numeric"), Feature("balance", "numeric"), Feature("plan", "category"))
CPU = Device(kind="cpu", name="CPU", precision="fp32", asked="cpu")
SMALL = Config(hidden=16, epochs=2, steps=100)


class Table:
    """Encoded customers, some for validation."""

    def __init__(self, frame: pl.DataFrame, y: np.ndarray, validation: int) -> None:
        self.encoder = Encoder.fit(frame.to_arrow(), FEATURES, np.arange(len(frame)), bins=32)
        encoded, y = self.encoder.encode(frame), y.astype(np.float32)
        self.validation = Rows(encoded.rows(slice(0, validation)), y[:validation])
        self.train = Rows(encoded.rows(slice(validation, None)), y[validation:])

    def optimize(self, config: Config, device: Device = CPU, **how: object) -> Trained:
        return optimize(self.encoder, self.train, self.validation, config, device, **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table(customers: Callable[..., pl.DataFrame]) -> Table:
    frame = customers(1500)
    return Table(frame, frame["left"].to_numpy(), 500)


def auc(network: Network, rows: Rows) -> float:
    return float(roc_auc_score(rows.y_B, answers(network, rows.inputs, "cpu")))


def test_overfits_64_rows(customers: Callable[..., pl.DataFrame]) -> None:
    """Labels that mean nothing are learned by heart: gradients reach every part of the network."""
    frame = customers(128)
    y = np.random.default_rng(0).random(128) < 0.5
    few = Table(frame, y, 64)
    few.validation = few.train
    by_heart = few.optimize(Config(epochs=100, patience=100, rate=1e-2, decay=0.0))
    assert min(epoch.train_loss for epoch in by_heart.epochs) < 0.02
    assert auc(by_heart.network, few.train) == 1.0


def test_learns_what_there_is_to_learn(table: Table) -> None:
    assert auc(table.optimize(SMALL).network, table.validation) > 0.75


def test_learns_nothing_from_shuffled_labels(customers: Callable[..., pl.DataFrame]) -> None:
    frame = customers(4000)
    shuffled = np.random.default_rng(1).permutation(frame["left"].to_numpy())
    lost = Table(frame, shuffled, 2000)
    fresh = lost.validation
    lost.validation = Rows(lost.train.inputs.rows(slice(0, 600)), lost.train.y_B[:600])
    assert auc(lost.optimize(SMALL).network, fresh) == pytest.approx(0.5, abs=0.04)


def test_the_same_seed_gives_the_same_bits(table: Table) -> None:
    first, second = (table.optimize(replace(SMALL, dropout=0.1)) for _ in range(2))
    assert losses(first) == losses(second)
    assert all(torch.equal(a, b) for a, b in zip(*map(weights, (first, second)), strict=True))
    assert losses(table.optimize(replace(SMALL, dropout=0.1, seed=1))) != losses(first)


def test_the_callers_threads_and_random_state_do_not_matter(table: Table) -> None:
    first = table.optimize(SMALL)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.rand(3)
    state = torch.get_rng_state()
    try:
        assert losses(table.optimize(SMALL)) == losses(first)
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(before)


def losses(trained: Trained) -> list[tuple[float, float | None]]:
    return [(epoch.train_loss, epoch.validation_loss) for epoch in trained.epochs]


def weights(trained: Trained) -> list[torch.Tensor]:
    return list(trained.network.state_dict().values())


def test_stops_when_validation_no_longer_falls(table: Table) -> None:
    trained = table.optimize(Config(hidden=32, epochs=40, patience=2, decay=0.0))
    search = [epoch for epoch in trained.epochs if epoch.phase == "search"]
    assert len(search) == trained.best + 2 < 40
    assert trained.best == min(search, key=lambda epoch: epoch.validation_loss or 0).number
    assert trained.stopped == "no better validation loss for 2 passes"


def test_the_refit_sees_all_rows_for_the_best_number_of_passes(table: Table) -> None:
    heard: list[Epoch] = []
    trained = table.optimize(SMALL, on_epoch=heard.append)
    refit = [epoch for epoch in trained.epochs if epoch.phase == "refit"]
    assert [epoch.number for epoch in refit] == list(range(1, trained.best + 1))
    assert all(epoch.validation_loss is None for epoch in refit)
    assert tuple(heard) == trained.epochs
    assert "rows/s" in str(heard[0])
    assert "validation" in str(heard[0])


def test_the_refit_is_not_as_short_as_chance_would_have_it(table: Table) -> None:
    """Validation rows that say the opposite of the others let the first pass look best."""
    contrary = Rows(table.validation.inputs, 1 - table.validation.y_B)
    config = replace(SMALL, epochs=6, patience=1, shortest=4)
    trained = optimize(table.encoder, table.train, contrary, config, CPU)
    search, refit = ([epoch for epoch in trained.epochs if epoch.phase == phase] for phase in ("search", "refit"))
    assert min(search, key=lambda epoch: epoch.validation_loss or 0).number == 1
    assert len(refit) == trained.best == 4


class Sick(Network):
    """A network whose output becomes NaN after so many steps."""

    healthy_steps = 0

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        logits = super().forward(*inputs)
        if self.training:
            self.healthy_steps -= 1
        return logits * float("nan") if self.training and self.healthy_steps < 0 else logits


def falls_sick(search_steps: int, refit_steps: int) -> Callable[[Encoder, Config], Network]:
    left = iter([search_steps, refit_steps])

    def build(encoder: Encoder, config: Config) -> Network:
        network = Sick.of(encoder, config)
        assert isinstance(network, Sick)
        network.healthy_steps = next(left)
        return network

    return build


def steps(table: Table, passes: int) -> int:
    return passes * -(-len(table.train) // SMALL.batch_of(len(table.train)))


def test_a_nan_in_the_search_keeps_the_last_good_weights(table: Table) -> None:
    trained = table.optimize(SMALL, build=falls_sick(steps(table, 2) + 1, 0))
    assert not trained.finite
    assert len(trained.epochs) == 2
    assert "not finite" in trained.stopped
    assert auc(trained.network, table.validation) > 0.75


def test_a_nan_in_the_refit_keeps_the_last_good_weights(table: Table) -> None:
    trained = table.optimize(SMALL, build=falls_sick(10**6, 3))
    assert not trained.finite
    assert {epoch.phase for epoch in trained.epochs} == {"search"}
    assert auc(trained.network, table.validation) > 0.75


def test_a_nan_from_the_start_is_an_error(table: Table) -> None:
    with pytest.raises(Terminal, match="needs a finite loss"):
        table.optimize(SMALL, build=falls_sick(0, 0))


def test_a_rate_that_explodes_is_an_error(table: Table) -> None:
    with pytest.raises(Terminal, match="needs a finite loss"):
        table.optimize(replace(SMALL, rate=1e25))


def test_bf16_learns_the_same(table: Table) -> None:
    tiny = replace(SMALL, hidden=8, layers=1, steps=60)  # bf16 is slow where the CPU has to emulate it
    half = table.optimize(tiny, Device(kind="cpu", name="CPU", precision="bf16", asked="cpu"))
    whole = table.optimize(tiny)
    assert losses(half) != losses(whole)
    assert auc(half.network, table.validation) == pytest.approx(auc(whole.network, table.validation), abs=0.02)
    assert all(part.dtype == torch.float32 for part in weights(half))


@pytest.mark.gpu
def test_a_gpu_learns_the_same(table: Table) -> None:
    fast = table.optimize(SMALL, choose("cuda"))
    assert auc(fast.network, table.validation) == pytest.approx(
        auc(table.optimize(SMALL).network, table.validation), abs=0.02
    )
    assert all(part.device.type == "cpu" for part in weights(fast))


def test_a_callback_may_cancel(table: Table) -> None:
    def cancel(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        table.optimize(SMALL, on_epoch=cancel)
    assert not torch.are_deterministic_algorithms_enabled()
