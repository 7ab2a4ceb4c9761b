"""A champion trained on a small bank, once for all tests that only read it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from kedge.lake import Version
from kedge.registry.decision import Decision
from kedge.registry.store import Registry


def trained(bank: Any, nights: list[str]) -> dict[str, bytes]:
    """Files of a network trained on these nights."""
    from kedge.lake import stack_rows
    from kedge.training.config import Config
    from kedge.training.fit import Examples, fit
    from kedge.training.preprocess import Feature

    anonymized = bank.ws.dataset("bank", "anonymized")
    frame = stack_rows([anonymized.current(night) for night in nights]).collect()
    declaration = bank.declaration
    examples = Examples(
        table=frame.to_arrow(),
        features=[Feature(name, declaration.feature_kind(name)) for name in declaration.features],
        target=declaration.target,
        positive=declaration.positive,
        subject=declaration.subject,
        validation=np.arange(len(frame)) % 10 == 0,
    )
    return fit(examples, Config(hidden=16, epochs=3)).model.save()


def crown(bank: Any, model: Version, night: str) -> None:
    """Make a model champion."""
    registry = Registry.open(bank.ws, "bank")
    decision = Decision(
        action="promote",
        reason="a test",
        model=model.id,
        evaluation=f"evaluation of {model.id}",
        trigger="manual",
        cause="no champion",
        at=night,
        nights=(night,),
        decided_at=datetime.now(UTC).isoformat(),
    )
    registry.decide(decision, registry.champion())


@pytest.fixture(scope="session")
def kept() -> dict[str, dict[str, bytes]]:
    """Trained files: nights of one number hold the same features in every test, so each is trained on once."""
    return {}


@pytest.fixture
def crown_one(kept: dict[str, dict[str, bytes]]) -> Callable[[Any, list[str]], None]:
    """Make a model that was trained on these nights of a bank champion."""

    def crown_trained(bank: Any, nights: list[str]) -> None:
        files = kept.get("".join(nights)) or kept.setdefault("".join(nights), trained(bank, nights))
        crown(bank, bank.model("trained", nights, files=files), nights[-1])

    return crown_trained


@pytest.fixture
def bank(small_bank: Any, crown_one: Callable[[Any, list[str]], None]) -> Any:
    """Two nights and a champion trained on them."""
    crown_one(small_bank, small_bank.nights(0, 1))
    return small_bank
