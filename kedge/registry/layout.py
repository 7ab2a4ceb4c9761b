"""A model in MLflow's layout, written by hand: importing `mlflow.pyfunc` for it costs a second and prints warnings."""

import json
import platform
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from kedge import durable, faults

faults.register("registry.layout", steps=("before", "data", "after"))

LOADER = "kedge.scoring.mlflow_model"
"""Module whose `_load_pyfunc` turns a registered model's files into something that predicts."""

REQUIREMENTS = ("torch", "safetensors", "numpy", "pyarrow", "rtdl-num-embeddings")
"""What the loader needs; given, since letting MLflow infer it costs 5 s and a trial run."""


def write_model(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `MLmodel` with its environment, and the given files under `data`.

    Args:
        folder: new folder.
        files: name -> bytes.
    """
    with durable.storage(str(folder.parent)):
        faults.reach("registry.layout.before")
        _write(folder, files)
        faults.reach("registry.layout.after")


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    (folder / "data").mkdir(parents=True)
    for name, data in files.items():
        (folder / "data" / name).write_bytes(data)
        faults.reach("registry.layout.data")
    requirements = [f"{name}=={version(name)}" for name in REQUIREMENTS]
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n")
    (folder / "python_env.yaml").write_text(json.dumps(environment))  # JSON is YAML
    (folder / "MLmodel").write_text(json.dumps(_settings(), indent=1))


def _settings() -> dict[str, object]:
    flavor = {
        "loader_module": LOADER,
        "data": "data",
        "env": {"virtualenv": "python_env.yaml"},
        "python_version": platform.python_version(),
    }
    return {
        "flavors": {"python_function": flavor},
        "mlflow_version": version("mlflow"),
        "model_uuid": uuid.uuid4().hex,
        "utc_time_created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
