"""Nothing phones home: every switch that the libraries offer, set before they are imported."""

import os
from collections.abc import MutableMapping
from types import MappingProxyType

SWITCHES = MappingProxyType(
    {
        "DO_NOT_TRACK": "1",  # evidently's service and others that honour consoledonottrack.com
        "EVIDENTLY_DISABLE_TELEMETRY": "1",
        "ITERATIVE_DO_NOT_TRACK": "1",  # the library through which evidently reports
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # not telemetry: a model file must never run code
        "GX_ANALYTICS_ENABLED": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "GIT_PYTHON_REFRESH": "quiet",  # mlflow looks for a git binary; there need not be one
    }
)
"""Dagster's own switch is a setting of its instance (`telemetry: {enabled: false}` in dagster.yaml)."""


def silence(env: MutableMapping[str, str] = os.environ) -> None:
    """Set every switch, whatever the caller's environment says; child processes inherit them."""
    env.update(SWITCHES)
