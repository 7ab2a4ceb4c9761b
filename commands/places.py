"""Folders that the commands use."""

import os
from pathlib import Path


def project_root() -> Path:
    """The folder that holds `workspace.yaml`."""
    return Path(__file__).resolve().parent.parent


def demo_environment() -> dict[str, str]:
    """Environment of the demo: everything it writes lies below `.demo`, apart from your own `KEDGE_HOME`."""
    folder = Path(os.environ.get("KEDGE_DEMO") or ".demo").absolute()
    return {
        "KEDGE_HOME": str(folder / "home"),
        "KEDGE_KEYS": str(folder / "keys"),
        "KEDGE_DATA": str(folder / "data"),
        "KEDGE_PIPELINES": str(project_root() / "pipelines"),
        "KEDGE_KEYS_PROVIDER": "",  # the defaults, below this folder, whatever your own environment says
        "KEDGE_KEYS_KEY_FILE": "",
        "KEDGE_KEYS_PASSPHRASE_FILE": "",
        "KEDGE_MLFLOW_URI": "",
    }
