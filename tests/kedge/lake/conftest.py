"""A lake below the test's own folder, a small frame and the way to store it."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kedge.lake import Dataset, Draft, Lake, Outcome, produce
from kedge.outcome import Check, Findings

Store = Callable[..., Outcome]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path / "home" / "lake", tmp_path / "keys")


@pytest.fixture
def raw(lake: Lake) -> Dataset:
    return lake.dataset("restricted", "bank", "raw")


@pytest.fixture
def frame() -> pl.DataFrame:
    rows = pl.Series("_row", range(1_000), dtype=pl.UInt64)
    return pl.DataFrame({"_row": rows, "name": [f"Person {i}" for i in range(1_000)], "balance": [0.5, None] * 500})


@pytest.fixture
def store(frame: pl.DataFrame) -> Store:
    """`store(dataset, partition, delivery="d1", frame=..., passed=True)` makes a version."""

    def store_it(
        dataset: Dataset,
        partition: str = "2026-01-01",
        delivery: str = "d1",
        *,
        rows: pl.LazyFrame | pl.DataFrame = frame,
        passed: bool = True,
    ) -> Outcome:
        def write(draft: Draft) -> Findings:
            draft.write_frame(rows)
            draft.write_bytes(b"a report", "report.html")
            check = Check(name="contract", passed=passed, facts={"failing": 0 if passed else 3})
            notes = {"raw": draft.version, "nights": ["2026-01-01"]}
            return Findings(checks=(check,), facts={"rows": draft.rows}, notes=notes)

        return produce(dataset, partition, inputs={"delivery": delivery}, declared={"columns": {}}, code=1, write=write)

    return store_it
