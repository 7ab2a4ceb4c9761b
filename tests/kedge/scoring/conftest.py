"""A champion trained on a small bank, once for all tests that only read it."""

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
    registry = Registry.open(bank.ws.registry_path("bank"))
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


@pytest.fixture
def bank(small_bank: Any) -> Any:
    """Two nights and a champion trained on them."""
    nights = small_bank.nights(0, 1)
    crown(small_bank, small_bank.model("first", nights, files=trained(small_bank, nights)), nights[-1])
    return small_bank
