import polars as pl
import pytest

from kedge.errors import Terminal
from kedge.lake import Draft, produce
from kedge.outcome import Findings
from kedge.people import HELDOUT, PARTS, TRAIN, load_rows
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace

NIGHTS = ("2026-01-01", "2026-01-02")


@pytest.fixture
def declaration() -> Declaration:
    attributes = {
        "partitions": {"start": "2026-01-01"},
        "source": {"files": "{date}.csv"},
        "columns": {
            "customer": {"type": "string", "role": "subject", "privacy": "token"},
            "balance": {"type": "float"},
            "left": {"type": "bool", "role": "target"},
        },
    }
    return Declaration.named("bank", attributes)


@pytest.fixture
def ws(settings: Settings) -> Workspace:
    return Workspace.open(settings)


@pytest.fixture
def nights(ws: Workspace) -> dict[str, str]:
    """Two nights of 200 rows by 100 people."""

    def write(draft: Draft) -> Findings:
        rows = pl.Series("_row", range(200), dtype=pl.UInt64)
        draft.write_frame(
            pl.DataFrame({"_row": rows}).with_columns(
                customer=(pl.col("_row") % 100).cast(pl.String), balance=pl.col("_row") / 2, left=pl.lit(True)
            )
        )
        return Findings(notes={"raw": "v" + "0" * 32})

    dataset = ws.dataset("bank", "anonymized")
    made = {night: produce(dataset, night, inputs={}, declared={}, code=1, write=write) for night in NIGHTS}
    return {night: outcome.version.id for night, outcome in made.items()}


def test_all_rows_come_in_order_with_their_part(
    ws: Workspace, declaration: Declaration, nights: dict[str, str]
) -> None:
    rows = load_rows(ws, declaration, dict(reversed(nights.items())))
    assert rows.columns == ["_row", "customer", "balance", "left", "_partition", "_part"]
    assert rows["_partition"].to_list() == [NIGHTS[0]] * 200 + [NIGHTS[1]] * 200
    assert rows["_row"].to_list() == [*range(200), *range(200)]
    assert rows.group_by("customer").agg(pl.col("_part").n_unique())["_part"].max() == 1


def test_parts_and_columns_are_chosen(ws: Workspace, declaration: Declaration, nights: dict[str, str]) -> None:
    whole = load_rows(ws, declaration, nights)
    found = {part: load_rows(ws, declaration, nights, {part}, columns=["balance"]) for part in PARTS}
    assert sum(len(rows) for rows in found.values()) == 400
    assert found[TRAIN].columns == ["_row", "balance", "_partition", "_part"]
    assert found[HELDOUT].equals(whole.filter(pl.col("_part") == HELDOUT).select(found[HELDOUT].columns))


def test_a_version_that_is_gone_is_an_error(ws: Workspace, declaration: Declaration, nights: dict[str, str]) -> None:
    with pytest.raises(Terminal, match="no such version"):
        load_rows(ws, declaration, {NIGHTS[0]: "v" + "1" * 32})
