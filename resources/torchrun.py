"""Starts the training process through Dagster Pipes, so that its progress streams into the run's log.

The training process never outlives the run: cancelled, the run ends it, at last by force; killed, torchrun hears of it
from the kernel and the worker from its pipe (`kedge.training.handover`).
"""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import dagster as dg

from kedge import faults
from resources import lifetime

if TYPE_CHECKING:
    from kedge.training.order import Order

TERMINATION_SECONDS = 40
"""More than the 30 that torchrun grants its worker before it kills it."""

OUTPUT_SECONDS = 5
"""For the last lines of a process that has ended."""


def launch_through_pipes(context: dg.AssetExecutionContext) -> Callable[["Order"], None]:
    """A launcher for `kedge.training.train` that runs torchrun inside a Pipes session.

    `PipesSubprocessClient` hands the whole environment down; the training process must not learn where the lake
    and its keys are, so the process is started here with the order's own environment.
    """

    def launch(order: "Order") -> None:
        from kedge.training.launch import CONFINED

        context.log.info(CONFINED.format(order.confined).rstrip())
        with _session(context, order) as session:
            environment = {**order.environment, **session.get_bootstrap_env_vars()}
            command = lifetime.command(*order.command)
            process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                env=environment,
                cwd=order.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            with _passed_on(process):
                _wait(process)
        if process.returncode != 0:
            raise dg.Failure(description=f"the training process ended with exit code {process.returncode}; see its log")

    return launch


def _session(context: dg.AssetExecutionContext, order: "Order") -> contextlib.AbstractContextManager[dg.PipesSession]:
    """A session whose files are where the training process may read and write."""
    from kedge.training.order import OUT

    told, tells = order.folder / "told", Path(order.environment.get(OUT, order.folder)) / "tells"
    for path in (told, tells):
        place = path.parent.stat()
        path.touch(mode=0o640)
        if place.st_uid != os.geteuid() or place.st_gid != os.getegid():  # the process is another user
            os.chown(path, place.st_uid, place.st_gid)
    return dg.open_pipes_session(
        context=context,
        context_injector=dg.PipesFileContextInjector(str(told)),
        message_reader=dg.PipesFileMessageReader(str(tells)),
    )


@contextlib.contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """What it prints goes on to this process's own output, whose file it must not hold open itself."""
    pipes = [(process.stdout, 1), (process.stderr, 2)]
    threads = [threading.Thread(target=_pass_on, args=pipe, name="kedge-output", daemon=True) for pipe in pipes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:  # a process that it left behind may hold the pipe open for longer
            thread.join(timeout=OUTPUT_SECONDS)


def _pass_on(source: IO[bytes], target: int) -> None:
    with source:
        while part := os.read(source.fileno(), 1 << 16):
            os.write(target, part)


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
