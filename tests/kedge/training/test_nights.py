"""Which nights train where outcomes arrive later."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.lake import Draft, Version, produce
from kedge.outcome import Findings
from kedge.training.nights import STALE, UNLABELLED, Window
from kedge.training.training_set import assemble

LATE = {
    "labels": {"files": "labels/{date}.csv", "on": ["customer"]},
    "columns": {
        "customer": {"type": "string", "role": "subject", "privacy": "token"},
        "opened": {"type": "date"},
        "balance": {"type": "float", "nulls": "20%"},
        "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
        "left": {"type": "bool", "role": "target", "from": "labels"},
    },
}


@pytest.fixture
def late(bank: Callable[..., Any], customers: Callable[..., pl.DataFrame], declare: Callable[..., Any]) -> Any:
    """Nights 0 to 6 of a bank with a window of three days, without any outcome."""
    found = bank(**LATE, training={"window": "3d", "device": "cpu"})
    for day in range(7):
        found.night(day, customers(100, seed=day).drop("left"))
    return found


def _label(bank: Any, night: str, rows: int = 100, raw: str | None = None) -> Version:
    stored = bank.ws.dataset("bank", "anonymized").current(night)

    def write(draft: Draft) -> Findings:
        position = pl.Series("_row", range(rows), dtype=pl.UInt64)
        draft.write_frame(pl.DataFrame([position, pl.Series("left", [True, False] * (rows // 2))]))
        return Findings(notes={"raw": raw or stored.manifest.notes["raw"]})

    inputs = {"raw": raw or "own", "rows": str(rows)}
    dataset = bank.ws.dataset("bank", "labels")
    return produce(dataset, night, inputs=inputs, declared={}, code=1, write=write).version


def test_the_window_ends_with_the_last_night_that_has_labels(late: Any) -> None:
    labels = {night: _label(late, night).id for night in ("2026-01-02", "2026-01-04")}
    _label(late, "2026-01-03", raw="v" + "9" * 32)
    window = Window.of(late.ws, late.declaration, None)
    assert list(window.nights) == ["2026-01-02", "2026-01-04"]
    assert window.labels == labels
    assert window.skipped == {"2026-01-03": STALE} | dict.fromkeys(
        ["2026-01-05", "2026-01-06", "2026-01-07"], UNLABELLED
    )
    assert window.inputs["labels/2026-01-04"] == labels["2026-01-04"]
    assert Window.of(late.ws, late.declaration, "2026-01-03").last.partition == "2026-01-02"


def test_corrected_labels_are_another_training_set_and_only_labelled_rows_count(late: Any) -> None:
    _label(late, "2026-01-04", rows=60)
    first = assemble(late.ws, late.declaration, cause="no champion", trigger="person")
    assert first.facts["rows"] == 60
    assert first.facts["nights"] == 1
    again = assemble(late.ws, late.declaration, cause="no champion", trigger="person")
    assert (again.version.id, again.written) == (first.version.id, False)
    corrected = _label(late, "2026-01-04", rows=62)
    second = assemble(late.ws, late.declaration, cause="no champion", trigger="person")
    assert second.version.id != first.version.id
    assert second.notes["labels"] == {"2026-01-04": corrected.id}


def test_without_labels_there_is_nothing_to_train_on(late: Any) -> None:
    with pytest.raises(Terminal, match="that has labels; got none"):
        Window.of(late.ws, late.declaration, None)
