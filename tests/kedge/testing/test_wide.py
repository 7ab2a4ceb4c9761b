from datetime import date

import polars as pl
import pytest

from kedge.quality.validate import validate
from kedge.settings import Settings
from kedge.source.take import take
from kedge.testing import wide
from kedge.testing.mishaps import BREAKAGES
from kedge.workspace import Workspace


def test_22_columns_as_declared() -> None:
    frame = wide.delivery(200)
    assert frame.columns == list(wide.declaration().columns)
    assert frame.width == 22
    assert set(frame.dtypes) == {pl.String}


def test_the_same_seed_gives_the_same_delivery() -> None:
    assert wide.delivery(100).equals(wide.delivery(100))
    assert not wide.delivery(100).equals(wide.delivery(100, seed=1))


@pytest.mark.parametrize("broken", [0, 20])
def test_it_meets_its_contract_but_for_the_broken_rows(settings: Settings, broken: int) -> None:
    ws = Workspace.open(settings)
    wide.send(400, ws.settings.data / "inbox", date(2026, 1, 1), broken=broken / 400)
    take(ws, wide.declaration(), "2026-01-01")
    result = validate(ws, wide.declaration(), "2026-01-01")
    assert result.validated.released, result.validated.reason
    assert result.quarantine is not None
    assert (result.validated.rows, result.quarantine.rows) == (400 - broken, broken)
    assert broken % len(BREAKAGES) == 0
