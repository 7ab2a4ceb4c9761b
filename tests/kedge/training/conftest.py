"""Made-up customers who leave for a reason, and a lake that holds a few nights of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.lake import Draft, Outcome, produce
from kedge.outcome import Findings
from kedge.privacy.plan import Plan
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.training.fit import Examples
from kedge.training.order import OUT, PIPE, Order
from kedge.training.preprocess import Feature
from kedge.workspace import Workspace

START = date(2026, 1, 1)
PLANS = ["basic", "plus", "flex"]
FEATURES = (Feature("opened", "numeric"), Feature("balance", "numeric"), Feature("plan", "category"))


def _declare(**changes: object) -> Declaration:
    attributes: dict[str, Any] = {
        "partitions": {"start": str(START)},
        "source": {"files": "{date}.csv"},
        "columns": {
            "customer": {"type": "string", "role": "subject", "privacy": "token"},
            "opened": {"type": "date"},
            "balance": {"type": "float", "nulls": "20%"},
            "plan": {"type": "category", "values": PLANS},
            "left": {"type": "bool", "role": "target"},
        },
        "training": {"window": "5d", "device": "cpu"},
    }
    return Declaration.named("bank", attributes | changes)


def _customers(rows: int, seed: int = 0, people: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    balance, plan = rng.lognormal(7, 1, rows), rng.choice(PLANS, rows, p=[0.6, 0.3, 0.1])
    logit = 1.5 - 0.8 * (np.log(balance) - 6) * 2 + 2.0 * (plan == "flex")
    left = rng.random(rows) < 1 / (1 + np.exp(-logit))
    known = np.where(rng.random(rows) < 0.05, None, balance.round(2))
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": [f"{person:032x}" for person in rng.integers(0, people, rows)],
            "opened": [date(2010, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 4000, rows)],
            "balance": pl.Series(known.tolist(), dtype=pl.Float64),
            "plan": plan.tolist(),
            "left": left,
        }
    )


@pytest.fixture(scope="session")
def declare() -> Callable[..., Declaration]:
    """Makes the declaration of a small bank; arguments replace sections."""
    return _declare


@pytest.fixture(scope="session")
def customers() -> Callable[..., pl.DataFrame]:
    """Makes rows as released; who has little money or the plan flex tends to leave."""
    return _customers


@pytest.fixture(scope="session")
def examples() -> Callable[..., Examples]:
    """Makes examples of a frame of customers, every tenth row for validation."""

    def make(frame: pl.DataFrame, **changes: Any) -> Examples:
        usual: dict[str, Any] = {
            "features": FEATURES,
            "target": "left",
            "positive": "true",
            "subject": "customer",
            "validation": np.arange(len(frame)) % 10 == 0,
        }
        return Examples(table=frame.to_arrow(), **(usual | changes))

    return make


@dataclass(frozen=True)
class Bank:
    """A workspace whose anonymized nights are written directly."""

    ws: Workspace
    declaration: Declaration

    def night(self, day: int, frame: pl.DataFrame, plan: Plan | None = None) -> Outcome:
        """Store `frame` as the anonymized version of the day `day` days after the start."""
        chosen = plan or Plan.of(self.declaration)

        def write(draft: Draft) -> Findings:
            draft.write_frame(frame)
            return Findings(notes={"plan": chosen.to_json(), "plan_id": chosen.id, "raw": "v" + "0" * 32})

        return produce(
            self.ws.dataset("bank", "anonymized"),
            str(START + timedelta(days=day)),
            inputs={"validated": f"v{day:032x}", "plan": chosen.id},
            declared={},
            code=1,
            write=write,
        )


@pytest.fixture
def bank(settings: Settings) -> Callable[..., Bank]:
    """Makes a bank, its declaration changed as asked."""

    def make(**changes: object) -> Bank:
        return Bank(Workspace.open(settings), _declare(**changes))

    return make


@pytest.fixture
def launch_here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Order], None]:
    """A launcher that runs the training process's own code in this process: 4 s less than torchrun."""

    def launch(order: Order) -> None:
        from kedge.training.worker import main

        with monkeypatch.context() as patch:
            for name in (PIPE, OUT):
                patch.setenv(name, order.environment[name])
            if main():
                raise RuntimeError("exit code 1")

    return launch
