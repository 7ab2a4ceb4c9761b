"""Made-up customers who leave for a reason, and a lake that holds a few nights of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from kedge.lake import Draft, Outcome, produce
from kedge.outcome import Findings
from kedge.privacy.plan import Plan
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

START = date(2026, 1, 1)
PLANS = ["basic", "plus", "flex"]


def declared(**changes: object) -> Declaration:
    """A small bank; `changes` replace sections."""
    attributes = {
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


def customers(rows: int, seed: int, people: int = 400) -> pl.DataFrame:
    """Rows as released; who has little money or a flex plan tends to leave."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, people, rows)
    balance, plan = rng.lognormal(7, 1, rows), rng.choice(PLANS, rows, p=[0.6, 0.3, 0.1])
    logit = 1.5 - 0.8 * (np.log(balance) - 6) * 2 + 2.0 * (plan == "flex")
    left = rng.random(rows) < 1 / (1 + np.exp(-logit))
    known = np.where(rng.random(rows) < 0.05, None, balance.round(2))
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": [f"{person:032x}" for person in who],
            "opened": [date(2010, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 4000, rows)],
            "balance": pl.Series(known.tolist(), dtype=pl.Float64),
            "plan": pl.Series(plan.tolist(), dtype=pl.Enum(PLANS)),
            "left": left,
        }
    )


@dataclass(frozen=True)
class Bank:
    """A workspace whose anonymized nights are written directly."""

    ws: Workspace
    declaration: Declaration

    def night(self, back: int, frame: pl.DataFrame, plan: Plan | None = None) -> Outcome:
        """Store `frame` as the anonymized version of the day `back` days after the start."""
        chosen = plan or Plan.of(self.declaration)
        notes = {"plan": chosen.to_json(), "plan_id": chosen.id, "raw": "v" + "0" * 32}

        def write(draft: Draft) -> Findings:
            draft.write_frame(frame)
            return Findings(notes=notes)

        return produce(
            self.ws.dataset("bank", "anonymized"),
            str(START + timedelta(days=back)),
            inputs={"validated": f"v{back:032x}", "plan": chosen.id},
            declared={},
            code=1,
            write=write,
        )


@pytest.fixture
def bank(settings: Settings) -> Callable[..., Bank]:
    """Makes a bank, its declaration changed as asked."""

    def make(**changes: object) -> Bank:
        return Bank(Workspace.open(settings), declared(**changes))

    return make
