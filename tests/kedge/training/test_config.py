import pytest

from kedge.errors import Terminal
from kedge.training.config import Config


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": 0},
        {"rate": 0.0},
        {"decay": -1.0},
        {"dropout": 1.0},
        {"warmup": 0.0},
        {"rate": float("nan")},
        {"epochs": 0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Terminal, match=f"training config {next(iter(wrong))}: needs"):
        Config(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "batch"), [(64, 32), (6400, 100), (65_536, 1024), (10**7, 1024)])
def test_small_tables_take_small_batches(rows: int, batch: int) -> None:
    assert Config().batch_of(rows) == batch


@pytest.mark.parametrize(("rows", "passes"), [(64, 50), (1600, 6), (65_536, 5), (10**7, 5)])
def test_small_tables_take_more_passes(rows: int, passes: int) -> None:
    assert Config().epochs_of(rows) == passes


def test_json_round_trip() -> None:
    config = Config(hidden=7, seed=3)
    assert Config.from_json(config.to_json()) == config
