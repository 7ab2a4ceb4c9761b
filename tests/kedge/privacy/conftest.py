"""Small days of a bank, and secrets that need no lake."""

from collections.abc import Callable
from datetime import date, timedelta
from hashlib import blake2b

import numpy as np
import polars as pl
import pytest

from kedge.spec import Declaration


class FixedSecrets:
    """Keys of tokens made from the domain's name."""

    def token(self, domain: str) -> bytes:
        return blake2b(domain.encode(), digest_size=32).digest()


@pytest.fixture
def secrets() -> FixedSecrets:
    return FixedSecrets()


COLUMNS = {
    "customer_id": {"type": "string", "role": "subject", "privacy": "token"},
    "name": {"type": "string", "privacy": "drop"},
    "email": {"type": "string", "privacy": "token"},
    "birth_date": {"type": "date", "privacy": {"bins": "10y"}, "quasi": True},
    "zip": {"type": "string", "privacy": {"prefix": 1}, "quasi": True},
    "notes": {"type": "string", "privacy": "redact", "nulls": "50%"},
    "balance": {"type": "float"},
    "left": {"type": "bool", "role": "target"},
}


def declare(**settings: object) -> Declaration:
    attributes = {
        "partitions": {"start": "2026-01-01"},
        "source": {"files": "inbox/{date}.csv"},
        "columns": COLUMNS,
        **settings,
    }
    return Declaration.named("bank", attributes)


@pytest.fixture
def declaration() -> Declaration:
    return declare()


def bank_day(rows: int, seed: int = 0) -> pl.DataFrame:
    """Validated rows of one day, one per customer."""
    rng = np.random.default_rng(seed)
    born = [date(1940, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 60 * 365, rows)]
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer_id": [f"C{number:06d}" for number in range(rows)],
            "name": [f"Vorname{number} Nachname{number}" for number in range(rows)],
            "email": [f"person{number}@example.org" for number in range(rows)],
            "birth_date": born,
            "zip": [f"{number:05d}" for number in rng.integers(10_000, 60_000, rows)],
            "notes": [f"Customer C{number:06d} wrote from person{number}@example.org" for number in range(rows)],
            "balance": rng.normal(1000, 300, rows).round(2),
            "left": rng.random(rows) < 0.2,
        },
        schema_overrides={"birth_date": pl.Date},
    )


@pytest.fixture
def day() -> Callable[..., pl.DataFrame]:
    return bank_day


@pytest.fixture(name="declare")
def _declare() -> Callable[..., Declaration]:
    return declare
