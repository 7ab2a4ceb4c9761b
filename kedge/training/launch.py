"""Starting the training process without an orchestrator, for notebooks and tests."""

import subprocess
import sys
from collections.abc import Callable

from kedge import faults
from kedge.errors import Terminal
from kedge.training.order import Order

STARTED = "training.start.after"
"""Every launcher passes this fault point once its process runs."""

CONFINED = "the training process is confined: {}\n"
"""What every launcher says, with `Order.confined`."""

faults.register(STARTED)


def _show(line: str) -> None:
    sys.stdout.write(line)


def launch_local(order: Order, on_line: Callable[[str], None] = _show) -> None:
    """Run the order as a subprocess to its end.

    Args:
        on_line: hears what confines it, then every line it prints.

    Raises:
        Terminal: it ended with an error.
    """
    on_line(CONFINED.format(order.confined))
    process = subprocess.Popen(  # noqa: S603 - our own module
        order.command,
        env=dict(order.environment),
        cwd=order.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        faults.reach(STARTED)
        for line in process.stdout or ():
            on_line(line)
        code = process.wait()
    finally:
        if process.poll() is None:  # the caller was interrupted: the process must not outlive it
            process.terminate()
            process.wait()
        if process.stdout:
            process.stdout.close()
    if code:
        raise Terminal(
            "the training process", need="exit code 0", got=str(code), remedy="Its last lines say what happened."
        )
