"""The one place where kedge's errors become Dagster's.

Messages of other libraries may quote a cell ("could not parse 'jane@...'"), and Dagster stores messages, tracebacks
and chained exceptions. Only kedge's own errors are passed on; of any other, the type and the place.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from kedge.errors import Conflict, KedgeError, Transient

RETRY_SECONDS = 10
MAX_RETRIES = 2


@contextmanager
def shielded(stage: str) -> Iterator[None]:
    """Turn what is raised inside into `dg.Failure` or, for a transient error, `dg.RetryRequested`."""
    failure: dg.Failure | dg.RetryRequested | None = None
    try:
        yield
    except (dg.Failure, dg.RetryRequested, dg.DagsterExecutionInterruptedError):
        raise
    except Conflict as error:  # trying again would find the winner's version and hide that there were two
        failure = dg.Failure(description=str(error), allow_retries=False)
    except Transient as error:
        failure = dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=RETRY_SECONDS)
        failure.__cause__ = dg.Failure(description=str(error))
    except KedgeError as error:
        failure = dg.Failure(description=str(error), allow_retries=False)
    except Exception as error:  # noqa: BLE001 - reported below by type and place; its message may hold personal data
        failure = dg.Failure(description=_where(stage, error), allow_retries=False)
    if failure is not None:
        raise failure from failure.__cause__  # replaces the chain: Dagster would store the original's message too


def _where(stage: str, error: Exception) -> str:
    frames = [
        f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-6:]
    ]
    return (
        f"{stage} failed with {type(error).__name__}; its message is withheld, since it may quote personal data. "
        f"Most recent calls: {' > '.join(frames)}"
    )
