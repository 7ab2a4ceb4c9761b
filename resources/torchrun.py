"""Starts the training process through Dagster Pipes, so that its progress streams into the run's log.

The training process never outlives the run: cancelled, the run ends it, at last by force; killed, torchrun hears of it
from the kernel and the worker from its pipe (`kedge.training.handover`).
"""

import contextlib
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg

from kedge import faults
from resources import lifetime

if TYPE_CHECKING:
    from kedge.training.order import Order

TERMINATION_SECONDS = 40
"""More than the 30 that torchrun grants its worker before it kills it."""


def launch_through_pipes(context: dg.AssetExecutionContext) -> Callable[["Order"], None]:
    """A launcher for `kedge.training.train` that runs torchrun inside a Pipes session.

    `PipesSubprocessClient` hands the whole environment down; the training process must not learn where the lake
    and its keys are, so the process is started here with the order's own environment.
    """

    def launch(order: "Order") -> None:
        with dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session:
            environment = {**order.environment, **session.get_bootstrap_env_vars()}
            command = lifetime.command(*order.command)
            process = subprocess.Popen(command, env=environment, cwd=order.folder)  # noqa: S603 - our own module
            _wait(process)
        if process.returncode != 0:
            raise dg.Failure(description=f"the training process ended with exit code {process.returncode}; see its log")

    return launch


def _wait(process: subprocess.Popen[bytes]) -> None:
    from kedge.training.launch import STARTED

    try:
        faults.reach(STARTED)
        process.wait()
    except BaseException:  # the run is being cancelled: the training process must not outlive it
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=TERMINATION_SECONDS)
    finally:  # also when a second interrupt cut the wait short
        process.kill()
        process.wait()
