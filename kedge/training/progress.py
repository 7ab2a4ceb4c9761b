"""Progress of the training process: into the orchestrator's log through Dagster Pipes, otherwise lines on stdout."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


@contextmanager
def reporter() -> Iterator[Say]:
    """A function that reports one line."""
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        yield _print
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield pipes.log.info


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
