"""MLflow's client as kedge uses it: a fault point on either side of each call, and failures that say what to do."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kedge import faults
from kedge.errors import Transient

if TYPE_CHECKING:
    from mlflow import MlflowClient

CALLS = (
    "create_experiment",
    "create_model_version",
    "create_registered_model",
    "create_run",
    "delete_registered_model_alias",
    "get_experiment_by_name",
    "get_model_version",
    "get_run",
    "log_artifacts",
    "log_batch",
    "search_model_versions",
    "search_registered_models",
    "search_runs",
    "set_model_version_tag",
    "set_registered_model_alias",
    "set_terminated",
)
"""Everything that kedge asks of MLflow; each call passes `registry.<call>.before` and `registry.<call>.after`."""

faults.register(*(f"registry.{call}" for call in CALLS), steps=("before", "after"))

_LATER = frozenset({"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "DEADLINE_EXCEEDED", "INTERNAL_ERROR"})


class Client:
    """Stands before an `MlflowClient` and has its methods.

    Raises:
        Transient: from any of `CALLS`, when the store does not answer or its disk takes nothing.
    """

    def __init__(self, mlflow: "MlflowClient") -> None:
        self._mlflow = mlflow

    def __getattr__(self, call: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._mlflow, call)
        if call not in CALLS:
            return method

        def guarded(*arguments: Any, **named: Any) -> Any:
            return _guarded(call, lambda: method(*arguments, **named))

        return guarded


def _guarded(call: str, ask: Callable[[], Any]) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        faults.reach(f"registry.{call}.before")
        answer = ask()
        faults.reach(f"registry.{call}.after")
    except MlflowException as error:  # its message holds the whole SQL statement
        if error.error_code not in _LATER:
            raise
        got = str(error.error_code)
    except OSError as error:  # that of `requests` too
        got = error.strerror or type(error).__name__
    else:
        return answer
    raise Transient(
        f"MLflow, {call}",
        need="a tracking store that answers and takes what it is told",
        got=got,
        remedy="Look at KEDGE_MLFLOW_URI, at its disk and its log, and run it again: what it lacks is told then.",
    )
