"""The bank's deliveries with eight more columns, 22 in all: as wide as the tables kedge is meant for, at any length.

Account numbers and addresses are invented, as everything in `kedge.testing.bank`; what was added says nothing about
who leaves.
"""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from kedge.spec import Declaration
from kedge.testing import mishaps
from kedge.testing.bank import Bank
from kedge.testing.delivery import drop

NAME = "wide"

COLUMNS: dict[str, Any] = {
    "customer_id": {"type": "string", "role": "subject", "privacy": "token", "unique": True},
    "name": {"type": "string", "privacy": "drop"},
    "email": {"type": "string", "privacy": "token", "format": "email"},
    "phone": {"type": "string", "privacy": "token", "format": "phone"},
    "birth_date": {
        "type": "date",
        "privacy": {"bins": "10y"},
        "quasi": True,
        "min": "1926-01-01",
        "max": "2010-12-31",
    },
    "zip": {"type": "string", "privacy": {"prefix": 1}, "quasi": True},
    "notes": {"type": "string", "privacy": "redact", "nulls": "50%"},
    "balance": {"type": "float", "min": 0, "nulls": "5%"},
    "tenure_months": {"type": "integer", "min": 0, "max": 720},
    "logins": {"type": "integer", "min": 0, "max": 1000},
    "complaints": {"type": "integer", "min": 0, "max": 100},
    "card_spend": {"type": "float", "min": 0, "max": 250000},
    "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
    "left": {"type": "bool", "role": "target"},
    "account": {"type": "string", "privacy": "drop", "format": "iban"},
    "address": {"type": "string", "privacy": "drop"},
    "sex": {"type": "category", "values": ["f", "m"], "protected": True},
    "employment": {"type": "category", "values": ["employed", "retired", "self-employed", "student", "none"]},
    "income": {"type": "float", "min": 0, "nulls": "20%"},
    "loans": {"type": "integer", "min": 0, "max": 50},
    "opened": {"type": "date", "privacy": {"bins": "1y"}, "min": "1950-01-01"},
    "last_login": {"type": "datetime", "min": "2000-01-01", "nulls": "10%"},
}
_STREETS = ("Ropewalk", "Harbour Lane", "Kiln Street", "Old Quay", "Larch Close", "Mill Row", "Tern Road", "Ash Way")


def declaration() -> Declaration:
    """What a pipeline of these deliveries declares."""
    return Declaration.named(
        NAME,
        {
            "partitions": {"start": "2026-01-01"},
            "source": {"files": "inbox/{date}.csv"},
            "columns": COLUMNS,
            "evaluation": {"slices": ["plan"]},
            "gates": {"auc": ">= 0.6"},
        },
    )


def delivery(rows: int, *, seed: int = 0, broken: float = 0.005) -> pl.DataFrame:
    """A quiet night as text, one row per customer.

    Args:
        broken: share of rows that break the contract, in ten ways (`mishaps.BREAKAGES`).
    """
    bank = Bank(seed=seed, rows=rows, num_customers=rows + rows // 4)
    rng = np.random.default_rng([seed, 22])
    return mishaps.broken_rows(bank.night(0).frame.hstack(_more(rows, rng)), rng, broken)


def send(rows: int, inbox: Path, night: date, *, seed: int = 0, broken: float = 0.005) -> Path:
    """Drop a delivery and its manifest into `inbox`."""
    return drop(delivery(rows, seed=seed, broken=broken), inbox / f"{night.isoformat()}.csv")


def _more(rows: int, rng: np.random.Generator) -> pl.DataFrame:
    cents = np.round(np.exp(rng.normal(10.3, 0.6, rows)), 2)
    seconds = pl.Series(rng.integers(0, 90 * 86_400, rows))
    work = COLUMNS["employment"]["values"]
    return pl.select(
        account=pl.format("DE00{}", pl.Series(rng.integers(10**17, 10**18, rows))),
        address=pl.format("{} {}", pl.Series(_STREETS).gather(rng.integers(0, 8, rows)), rng.integers(1, 200, rows)),
        sex=pl.Series(["f", "m"]).gather(rng.integers(0, 2, rows)),
        employment=pl.Series(work).gather(rng.choice(5, rows, p=(0.55, 0.25, 0.1, 0.06, 0.04))),
        income=pl.when(pl.Series(rng.random(rows) > 0.1)).then(pl.Series(cents)).cast(pl.String),
        loans=pl.Series(rng.poisson(0.8, rows)).cast(pl.String),
        opened=(pl.lit(date(2025, 12, 31)) - pl.duration(days=pl.lit(pl.Series(rng.integers(0, 9_000, rows))))).cast(
            pl.String
        ),
        last_login=pl.when(pl.Series(rng.random(rows) > 0.03)).then(
            (pl.lit(date(2025, 10, 1)).cast(pl.Datetime("us")) + pl.duration(seconds=pl.lit(seconds))).dt.to_string(
                "%Y-%m-%dT%H:%M:%S"
            )
        ),
    )
