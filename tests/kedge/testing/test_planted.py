from pathlib import Path

import polars as pl
import pytest

from kedge.privacy import anonymize
from kedge.quality.validate import validate
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.testing.planted import plant, search
from kedge.workspace import Workspace

DAY = "2026-01-01"
COLUMNS = {
    "customer": {"type": "string", "role": "subject", "privacy": "token", "unique": True},
    "name": {"type": "string", "privacy": "drop"},
    "email": {"type": "string", "privacy": "token", "format": "email"},
    "phone": {"type": "string", "privacy": "drop", "format": "phone"},
    "iban": {"type": "string", "privacy": "token", "format": "iban"},
    "card": {"type": "string", "privacy": "drop", "format": "card"},
    "ip": {"type": "string", "privacy": "drop", "format": "ip"},
    "birth_date": {"type": "date", "privacy": {"bins": "10y"}, "quasi": True},
    "zip": {"type": "string", "privacy": {"prefix": 1}, "quasi": True},
    "notes": {"type": "string", "privacy": "redact"},
    "seen": {"type": "datetime", "privacy": "drop"},
    "balance": {"type": "float"},
    "share": {"type": "float", "min": 0, "max": 1},
    "income": {"type": "float", "privacy": {"bins": 100}},
    "account": {"type": "integer", "privacy": "token"},
    "logins": {"type": "integer", "min": 0, "max": 50},
    "plan": {"type": "category", "values": ["basic", "plus", "flex"]},
    "branch": {"type": "category"},
    "newsletter": {"type": "bool"},
    "left": {"type": "bool", "role": "target"},
}
# They cannot hold anything unique while they keep the contract.
NOTHING_UNIQUE = {"logins", "plan", "newsletter", "left"}


@pytest.fixture
def declaration() -> Declaration:
    attributes = {
        "partitions": {"start": DAY},
        "source": {"files": "inbox/{date}.csv", "delimiter": ";"},
        "columns": COLUMNS,
    }
    return Declaration.named("bank", attributes)


def test_every_column_that_can_holds_unique_values(declaration: Declaration):
    planted = plant(declaration, 500)
    assert planted.frame.columns == list(COLUMNS)
    assert planted.frame.height == 500
    assert {column for column, values in planted.values.items() if not values} == NOTHING_UNIQUE
    every = planted.all_values
    assert len(set(every)) == len(every)
    assert min(map(len, every)) >= 10
    for column, values in planted.values.items():
        cells = planted.frame[column].str.to_lowercase()
        assert all(cells.str.contains(value, literal=True).sum() == 1 for value in values[:20])
    assert planted.column_of(0) == "customer"
    assert planted.column_of(len(every) - 1) == "branch"


def test_it_is_seeded(declaration: Declaration):
    assert plant(declaration, 50, seed=3).frame.equals(plant(declaration, 50, seed=3).frame)
    other = set(plant(declaration, 50, seed=4).values["customer"])
    assert not other & set(plant(declaration, 50, seed=3).values["customer"])


def test_more_broken_rows_than_rows(declaration: Declaration):
    with pytest.raises(ValueError, match="0 to 5"):
        plant(declaration, 5, broken=6)


def test_a_night_leaves_nothing_outside_the_encrypted_lake(settings: Settings, declaration: Declaration):
    planted = plant(declaration, 600, broken=20)
    inbox = settings.data / "inbox" / f"{DAY}.csv"
    planted.write(inbox, declaration)
    ws = Workspace.open(settings)
    take(ws, declaration, DAY)
    night = validate(ws, declaration, DAY)
    assert night.quarantine is not None
    assert night.quarantine.rows == 20
    assert night.validated.rows == 580
    released = anonymize(ws, declaration, DAY)
    assert released.released, released.reason
    assert search(planted.all_values, settings.home) == []
    found = {planted.column_of(hit.index) for hit in search(planted.all_values, settings.data)}
    assert found == set(COLUMNS), "the inbox is plaintext: the search has to find every column there"


def test_a_leak_on_purpose_is_found(tmp_path: Path, declaration: Declaration):
    planted = plant(declaration, 30, broken=2)
    log = tmp_path / "run.log"
    log.write_text("could not convert " + planted.frame["balance"][0])
    (hit,) = search(planted.all_values, tmp_path)
    assert planted.column_of(hit.index) == "balance"
    leaked = pl.DataFrame({"balance": [float(planted.frame["balance"][5])]})
    leaked.write_parquet(tmp_path / "rows.parquet", compression="uncompressed")
    assert {hit.path.name for hit in search(planted.all_values, tmp_path)} == {"run.log", "rows.parquet"}
