"""Dagster's SQLite, told not to wait for the disk."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from resources.sqlite import hasten


def test_every_connection_commits_without_a_disk_wait_and_the_log_outlives_the_last_one(tmp_path: Path) -> None:
    hasten()
    hasten()
    path = tmp_path / "events.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("PRAGMA journal_mode = WAL"))
    for number in range(3):
        with engine.begin() as connection:
            assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 1
            connection.execute(sa.text("CREATE TABLE IF NOT EXISTS t (x)"))
            connection.execute(sa.text("INSERT INTO t VALUES (:x)"), {"x": number})
    assert path.with_name("events.db-wal").stat().st_size > 0, "closing a connection must not have been the last close"
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM t")).scalar() == 3
