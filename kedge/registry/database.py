"""MLflow's database, before MLflow opens it."""

import warnings
from pathlib import Path

from kedge import durable, faults

faults.register("registry.database", steps=("before", "after"))

_SQLITE = "sqlite:///"


def prepare(uri: str) -> None:
    """Make the folder of a `sqlite:///` address, and let SQLAlchemy read MLflow's models now.

    SQLAlchemy 2.1 deprecates `noload`, which MLflow 3.17 still uses: where warnings are errors, MLflow would not start.
    To be dropped with the first MLflow that does without.
    """
    with durable.storage("KEDGE_MLFLOW_URI"):
        faults.reach("registry.database.before")
        if uri.startswith(_SQLITE):
            durable.make_folder(Path(uri.removeprefix(_SQLITE)).parent)
        faults.reach("registry.database.after")
    import mlflow.store.db.utils  # noqa: F401 - defines the models
    from sqlalchemy.exc import SADeprecationWarning
    from sqlalchemy.orm import configure_mappers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SADeprecationWarning)
        configure_mappers()
