"""How to start the training process: command, environment, folder. Nothing in it is secret."""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import kedge
from kedge import faults

PIPE = "KEDGE_ORDER"
"""Environment variable of the training process: path of the pipe over which it gets its task."""

OUT = "out"
"""Folder beside the pipe where the training process leaves the model."""

_INHERITED = frozenset({
    "PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHASHSEED",
    "PYTHONDONTWRITEBYTECODE", faults.VARIABLE,
})  # fmt: skip
_INHERITED_FAMILIES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_")
"""Everything else stays behind: what an environment holds besides is mostly addresses and secrets."""

_QUIET = {
    "OMP_NUM_THREADS": "1",  # torchrun warns when it has to set it itself
    "PYTHONUNBUFFERED": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "LOGLEVEL": "ERROR",
    "KINETO_LOG_LEVEL": "5",
}


@dataclass(frozen=True)
class Order:
    """What a launcher needs.

    Attributes:
        command: the program and its arguments.
        environment: the whole environment; of the starting process's only what the machine and its libraries need, so
            that it names neither the lake nor its keys, and no credential of anything else.
        folder: to start in; empty but for the pipe and the folder for the model, and readable by this user only.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path

    @classmethod
    def of(cls, folder: Path, pipe: Path, env: Mapping[str, str] = os.environ) -> Self:
        """torchrun with one process.

        A static rendezvous on a free port of this machine: torchrun's own search for one costs 0.7 s more.
        """
        port = _free_port()
        rendezvous = ("--rdzv-backend", "static", "--master-addr", "127.0.0.1", "--master-port", str(port))
        workers = ("--nnodes", "1", "--nproc-per-node", "1", "--max-restarts", "0")
        launcher = (sys.executable, "-m", "torch.distributed.run")
        command = (*launcher, *rendezvous, *workers, "-m", "kedge.training.worker")
        inherited = {name: value for name, value in env.items() if _is_inherited(name)}
        # torchrun and torch leave folders behind where temporary files go: this one is removed in the end.
        found = {"PYTHONPATH": _python_path(env), PIPE: str(pipe), "TMPDIR": str(folder)}
        return cls(command, {**inherited, **_QUIET, **found}, folder)


def _is_inherited(name: str) -> bool:
    return name in _INHERITED or name.startswith(_INHERITED_FAMILIES)


def _python_path(env: Mapping[str, str]) -> str:
    """This very kedge must be found, from whatever folder the process starts in."""
    root = str(Path(kedge.__file__).parent.parent)
    return os.pathsep.join([root, *filter(None, [env.get("PYTHONPATH")])])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
