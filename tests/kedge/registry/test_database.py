"""What MLflow needs before it opens its database."""

from pathlib import Path

import pytest

from kedge.registry import database


def test_the_folder_of_the_database_is_made_and_the_file_left_to_mlflow(tmp_path: Path) -> None:
    path = tmp_path / "mlflow" / "mlflow.db"
    database.prepare(f"sqlite:///{path}")
    database.prepare(f"sqlite:///{path}")
    assert list(path.parent.iterdir()) == []


def test_other_stores_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database.prepare("http://localhost:5000")
    assert list(tmp_path.iterdir()) == []
