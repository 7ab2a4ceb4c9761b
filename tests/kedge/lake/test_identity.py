from typing import Any

import pytest

from kedge.lake import Dataset, version_id

BASE: dict[str, Any] = {"inputs": {"raw": "v1"}, "declared": {"columns": {"a": 1, "b": [2]}}, "code": 3, "seed": 7}


def identity(dataset: Dataset, **changes: Any) -> str:
    given = {"partition": "2026-01-01", **BASE, **changes}
    return version_id(dataset, **given)


def test_golden_id(raw: Dataset) -> None:
    """A change here makes every stored version stale: it is a decision, never a side effect."""
    assert identity(raw) == "v6e4a69e7bff8f4ce696e8e0097d0a8cd"


def test_order_of_keys_does_not_matter(raw: Dataset) -> None:
    assert identity(raw, declared={"columns": {"b": [2], "a": 1}}) == identity(raw)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {"raw": "v2"}},
        {"inputs": {"row": "v1"}},
        {"declared": {}},
        {"code": 4},
        {"seed": None},
        {"partition": "all"},
    ],
)
def test_everything_that_goes_in_counts(raw: Dataset, change: dict[str, Any]) -> None:
    assert identity(raw, **change) != identity(raw)


def test_the_place_counts(raw: Dataset) -> None:
    lake = raw.lake
    others = [("open", "bank", "raw"), ("restricted", "bank", "validated"), ("restricted", "shop", "raw")]
    assert len({identity(lake.dataset(*other)) for other in others} | {identity(raw)}) == 4  # type: ignore[arg-type]
