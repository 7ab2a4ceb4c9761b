"""MLflow's SQLite database, made in a moment.

On a new file MLflow replays the migrations of all its releases, 2 s of work (5 on a busy machine). The result is
always the same, so it is kept beside this module as `mlflow.sql` and loaded in 20 ms. It is used only when the
installed MLflow wants exactly that revision; otherwise MLflow migrates as ever. A test compares the snapshot with what
the installed MLflow makes. To renew it: `python -m kedge.registry.database`.
"""

import os
import sqlite3
import tempfile
import warnings
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("mlflow.sql")
_PREFIX = "sqlite:///"


def prepare(uri: str) -> bool:
    """Make the database of a `sqlite:///` address if the file is not there yet.

    Returns:
        Whether it was made from the snapshot.
    """
    if not uri.startswith(_PREFIX):
        return False
    path = Path(uri.removeprefix(_PREFIX))
    if path.exists() or not _fits():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        _load(draft)
        os.link(draft, path)  # another process may have been faster: its database stays
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _load(path: Path) -> None:
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    try:
        connection.executescript(SNAPSHOT.read_text())
    finally:
        connection.close()


def _fits() -> bool:
    """Whether the snapshot is of the revision that the installed MLflow wants."""
    from mlflow.store.db.utils import _get_latest_schema_revision

    return f"VALUES('{_get_latest_schema_revision()}')" in SNAPSHOT.read_text()


def configure() -> None:
    """Let SQLAlchemy read MLflow's models now, without the warning that MLflow 3.17 still uses `noload`.

    SQLAlchemy 2.1 deprecates it; where warnings are errors, MLflow would not start. To be dropped with the first MLflow
    that does without.
    """
    import mlflow.store.db.utils  # noqa: F401 - defines the models
    from sqlalchemy.exc import SADeprecationWarning
    from sqlalchemy.orm import configure_mappers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SADeprecationWarning)
        configure_mappers()


def migrated() -> str:
    """The database as the installed MLflow makes it by migrating, as SQL."""
    configure()
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine_with_retry

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        engine = create_sqlalchemy_engine_with_retry(f"{_PREFIX}{path}")
        _initialize_tables(engine)
        engine.dispose()
        connection = sqlite3.connect(path)
        try:
            return "\n".join(connection.iterdump()) + "\n"
        finally:
            connection.close()


if __name__ == "__main__":
    SNAPSHOT.write_text(migrated())
