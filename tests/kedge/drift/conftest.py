from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.drift import column as columns
from kedge.drift.column import Column
from kedge.lake import Draft, Version, produce
from kedge.outcome import Findings
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def column() -> Callable[..., Column]:
    """A tested column from two plain arrays; `people` are the codes behind the rows of each side."""

    def make(reference: Any, current: Any, people: tuple[Any, Any] | None = None) -> Column:
        frames = []
        for number, values in enumerate((reference, current)):
            frame = pl.DataFrame({"x": values})
            who = pl.Series("_person", people[number]) if people else columns.people(frame, None)
            frames.append(frame.with_columns(who.cast(pl.Int64)))
        numeric = frames[0]["x"].dtype.is_numeric() or frames[0]["x"].dtype.is_temporal()
        return (columns.numeric if numeric else columns.category)("x", *frames)

    return make


@pytest.fixture
def declaration() -> Declaration:
    """A small bank: a binned date, a category and a number to predict from."""
    return Declaration.named(
        "bank",
        {
            "partitions": {"start": "2026-01-01"},
            "source": {"files": "{date}.csv"},
            "columns": {
                "customer": {"type": "string", "role": "subject", "privacy": "token"},
                "born": {"type": "date"},
                "balance": {"type": "float"},
                "logins": {"type": "integer"},
                "plan": {"type": "category"},
                "left": {"type": "bool", "role": "target"},
            },
        },
    )


@dataclass
class Stored:
    """Writes what drift reads into a real lake."""

    ws: Workspace

    def night(self, partition: str, rows: int, seed: int, plan_id: str = "p1", **world: Any) -> Version:
        frame = bank_rows(seed, rows, **world)
        return self._put("anonymized", partition, {"seed": str(seed)}, {"raw": "v0", "plan_id": plan_id}, frame)

    def model(self, nights: list[Version], episode: tuple[str, ...] = (), plan_id: str = "p1") -> Version:
        named = {version.partition: version.id for version in nights}
        notes = {"nights": named, "episode": list(episode), "plan_id": plan_id}
        training_set = self._put("training_set", "all", named, notes)
        return self._put("model", "all", {"training_set": training_set.id}, {"training_set": training_set.id})

    def _put(
        self, name: str, partition: str, inputs: dict[str, str], notes: dict[str, Any], rows: Any = None
    ) -> Version:
        def write(draft: Draft) -> Findings:
            if rows is None:
                draft.write_bytes(b"{}", "empty.json")
            else:
                draft.write_frame(rows)
            return Findings(notes=notes)

        dataset = self.ws.dataset("bank", name)
        return produce(dataset, partition, inputs=inputs, declared={}, code=1, write=write).version


def bank_rows(seed: int, rows: int, flex: float = 0.05, customers: int = 20_000) -> pl.DataFrame:
    """Released rows of a night of the bank; customers come again on other nights."""
    r = np.random.default_rng(seed)
    years = [f"{year}-01-01" for year in 1940 + 10 * r.integers(0, 7, rows)]
    return pl.DataFrame(
        {
            "_row": pl.Series(range(rows), dtype=pl.UInt64),
            "customer": [f"t{i}" for i in r.permutation(customers)[:rows]],
            "born": pl.Series(years).str.to_date(),
            "balance": r.lognormal(8, 1, rows),
            "logins": r.poisson(8, rows),
            "plan": r.choice(["basic", "plus", "flex"], rows, p=[0.7 - flex, 0.3, flex]),
            "left": r.random(rows) < 0.15,
        }
    )


@pytest.fixture
def stored(settings: Settings) -> Stored:
    return Stored(Workspace.open(settings))


@pytest.fixture
def score() -> Callable[[Version, pl.DataFrame], np.ndarray]:
    """A model that knows the flexible plan and the number of logins."""

    def of(_: Version, rows: pl.DataFrame) -> np.ndarray:
        return 1 / (1 + np.exp(-(rows["logins"].to_numpy() - 8) / 3 + 2 * (rows["plan"].to_numpy() == "flex")))

    return of
