"""A process that ends when the one that started it ends, even by kill -9.

Linux sends the signal (https://man7.org/linux/man-pages/man2/pr_set_pdeathsig.2const.html). A program that is not ours
is started as `python -m resources.lifetime PARENT PROGRAM ARGUMENT...`: the wish outlives exec, and no code has to run
between fork and exec in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def command(*program: str) -> list[str]:
    """How to start `program` as a child of this process that does not outlive it."""
    return [sys.executable, "-m", "resources.lifetime", str(os.getpid()), *program]


def end_with(parent: int) -> None:
    """Have SIGTERM sent to this process when `parent`, which started it, ends.

    Raises:
        OSError: the kernel refused.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the kernel knew the wish
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    end_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - a program that `command` was given


if __name__ == "__main__":
    main()
