"""The snapshot of MLflow's database is what the installed MLflow makes itself."""

import sqlite3
import time
from pathlib import Path

import pytest

from kedge.registry import database


def lines(text: str) -> list[str]:
    """MLflow's migrations write a table's constraints in the order of a set, another one each time."""
    return sorted(line.strip().rstrip(",") for line in text.splitlines())


def test_the_snapshot_is_what_mlflow_makes() -> None:
    kept = lines(database.SNAPSHOT.read_text())
    assert lines(database.migrated()) == kept, "python -m kedge.registry.database renews it"


def test_a_database_is_made_once_and_never_touched_again(tmp_path: Path) -> None:
    path = tmp_path / "mlflow" / "mlflow.db"
    start = time.process_time()
    assert database.prepare(f"sqlite:///{path}")
    assert time.process_time() - start < 1
    connection = sqlite3.connect(path)
    connection.execute("create table mine (x)")
    connection.commit()
    connection.close()
    assert not database.prepare(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    assert connection.execute("select count(*) from sqlite_master where name = 'mine'").fetchone() == (1,)
    connection.close()
    assert [file.name for file in path.parent.iterdir()] == ["mlflow.db"]


def test_another_revision_is_left_to_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "old.sql"
    other.write_text("INSERT INTO alembic_version VALUES('0');")
    monkeypatch.setattr(database, "SNAPSHOT", other)
    assert not database.prepare(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert not (tmp_path / "mlflow.db").exists()


def test_other_stores_are_left_alone() -> None:
    assert not database.prepare("http://localhost:5000")
    assert not database.prepare("postgresql://mlflow")
