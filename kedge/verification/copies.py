"""The copies of models in MLflow's artifacts: people load them from there, and nothing there is encrypted or sealed.

kedge itself scores with the model in the lake and never with a copy.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from kedge.errors import KedgeError, Tampered
from kedge.lake import Version
from kedge.lake.digest import bytes_digest, combine
from kedge.registry.layout import LOADER

_AROUND = frozenset({"MLmodel", "data", "python_env.yaml", "requirements.txt"})


def copies(folder: Path, models: Sequence[Version], secret: bytes) -> Iterator[KedgeError]:
    """Compare every registered model's files with the content digest of the model in the lake.

    Args:
        folder: of the pipeline's artifacts, one folder per run.
        models: whole versions of the dataset `model`.
        secret: the pipeline's `digest` secret.
    """
    by_run = {str(v.manifest.notes["mlflow"]["run"]): v for v in models if "mlflow" in v.manifest.notes}
    known = {version.manifest.content_digest for version in models}
    for copy in sorted(folder.glob("*/artifacts/model")):
        run = copy.parents[1].name
        wanted = {by_run[run].manifest.content_digest} if run in by_run else known
        if not _is_copy(copy, wanted, secret):
            yield Tampered(
                f"MLflow's artifacts of run {run}",
                need="the model that is stored in the lake",
                got="other files",
                remedy="Do not load or serve it from there; remove the folder: the lake has the model.",
                part="model",
            )


def _is_copy(copy: Path, wanted: set[str], secret: bytes) -> bool:
    try:
        loader = json.loads((copy / "MLmodel").read_bytes())["flavors"]["python_function"]["loader_module"]
        files = {file.name: bytes_digest(secret, file.read_bytes()) for file in (copy / "data").iterdir()}
        around = {entry.name for entry in copy.iterdir()}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return around == _AROUND and loader == LOADER and combine(secret, files) in wanted
