"""Labels beside released rows: the right ones, of the same delivery, and missing where there are none."""

from collections.abc import Sequence

import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.lake import Draft, Version, produce
from kedge.outcome import Findings
from kedge.people import labels_of, labels_of_nights, load_rows
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

FIRST, SECOND = "2026-01-01", "2026-01-02"
OLD, NEW = "v" + "0" * 32, "v" + "1" * 32
DECLARATION = Declaration.named(
    "bank",
    {
        "partitions": {"start": FIRST},
        "source": {"files": "{date}.csv"},
        "labels": {"files": "labels/{date}.csv", "on": ["customer"]},
        "columns": {
            "customer": {"type": "string", "role": "subject", "privacy": "token"},
            "balance": {"type": "float"},
            "left": {"type": "bool", "role": "target", "from": "labels"},
        },
    },
)


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings)


def _store(ws: Workspace, dataset: str, night: str, frame: pl.DataFrame, raw: str) -> Version:
    def write(draft: Draft) -> Findings:
        draft.write_frame(frame)
        return Findings(notes={"raw": raw})

    inputs = {"raw": raw, "rows": str(frame.height)}
    return produce(ws.dataset("bank", dataset), night, inputs=inputs, declared={}, code=1, write=write).version


def _night(ws: Workspace, night: str, raw: str = OLD) -> Version:
    rows = pl.DataFrame({"_row": range(4), "customer": list("abcd"), "balance": [0.0, 1.0, 2.0, 3.0]})
    return _store(ws, "anonymized", night, rows.with_columns(pl.col("_row").cast(pl.UInt64)), raw)


def _labels(ws: Workspace, night: str, rows: Sequence[int], raw: str = OLD) -> Version:
    frame = pl.DataFrame({"_row": list(rows), "left": [row % 2 == 0 for row in rows]})
    return _store(ws, "labels", night, frame.with_columns(pl.col("_row").cast(pl.UInt64)), raw)


def test_outcomes_stand_beside_their_rows(ws: Workspace) -> None:
    nights = {FIRST: _night(ws, FIRST).id, SECOND: _night(ws, SECOND).id}
    labels = {FIRST: _labels(ws, FIRST, [3, 0, 1]).id}
    rows = load_rows(ws, DECLARATION, nights, columns=["left", "balance"], labels=labels)
    assert rows.columns == ["_row", "left", "balance", "_partition", "_part"]
    assert rows["left"].to_list() == [True, False, None, False, None, None, None, None]
    assert rows["balance"].to_list() == [0.0, 1.0, 2.0, 3.0] * 2


def test_who_does_not_ask_gets_no_outcomes(ws: Workspace) -> None:
    nights = {FIRST: _night(ws, FIRST).id}
    assert "left" not in load_rows(ws, DECLARATION, nights, columns=["balance"]).columns
    assert load_rows(ws, DECLARATION, nights)["left"].to_list() == [None] * 4


def test_labels_of_another_delivery_are_none_of_these_rows(ws: Workspace) -> None:
    night, labels = _night(ws, FIRST, NEW), _labels(ws, FIRST, [0], OLD)
    assert labels_of(ws, DECLARATION, night) is None
    with pytest.raises(Terminal, match="one raw version that both descend from"):
        load_rows(ws, DECLARATION, {FIRST: night.id}, labels={FIRST: labels.id})


def test_named_labels_come_first_where_they_fit(ws: Workspace) -> None:
    before, first = _night(ws, FIRST, OLD), _labels(ws, FIRST, [0, 1], OLD)
    corrected = _labels(ws, FIRST, [0, 1, 2], OLD)
    assert labels_of(ws, DECLARATION, before) == corrected
    assert labels_of_nights(ws, DECLARATION, {FIRST: before.id}, {FIRST: first.id}) == {FIRST: first.id}
    after = _night(ws, FIRST, NEW)
    assert labels_of_nights(ws, DECLARATION, {FIRST: after.id}, {FIRST: first.id}) == {}
    fresh = _labels(ws, FIRST, [0, 1, 2, 3], NEW)
    assert labels_of_nights(ws, DECLARATION, {FIRST: after.id}, {FIRST: first.id}, {}) == {FIRST: fresh.id}


def test_a_pipeline_whose_outcome_is_delivered_has_no_labels(ws: Workspace) -> None:
    columns = {**DECLARATION.columns, "left": DECLARATION.columns["left"].model_copy(update={"from_": None})}
    delivered = DECLARATION.model_copy(update={"columns": columns, "labels": None})
    assert labels_of(ws, delivered, _night(ws, FIRST)) is None
