"""How to start the training process: command, environment, folder, and what confines it. Nothing in it is secret."""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import kedge
from kedge import faults
from kedge.training.confinement import Isolation, described
from kedge.training.room import Room

PIPE, OUT = "KEDGE_ORDER", "KEDGE_OUT"
"""Environment variables of the training process: the pipe over which it gets its task, and the folder for its model."""

_INHERITED = frozenset({
    "PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE",
    faults.VARIABLE,
})  # fmt: skip
_INHERITED_FAMILIES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "MKL_")
"""Everything else stays behind: what an environment holds besides is mostly addresses and secrets."""
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""So a name ends that stays behind although its family comes along: NVIDIA_API_KEY opens a service."""

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
        folder: to start in: the room of the training, see `Room`.
        confined: what keeps it from the rest of the machine, for people.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    confined: str = "nothing"

    @classmethod
    def of(cls, room: Room, isolation: Isolation = Isolation(), env: Mapping[str, str] = os.environ) -> Self:  # noqa: B008 - frozen
        """torchrun with one process, confined before it starts.

        A static rendezvous on a free port of this machine: torchrun's own search for one costs 0.7 s more, and this one
        port is the only one that the process may use.

        Raises:
            Terminal: the isolation that is asked for cannot be had here.
        """
        port = _free_port()
        rules = isolation.rules(room.folder, room.own, [port])
        rendezvous = ("--rdzv-backend", "static", "--master-addr", "127.0.0.1", "--master-port", str(port))
        workers = ("--nnodes", "1", "--nproc-per-node", "1", "--max-restarts", "0")
        launcher = (sys.executable, "-m", "torch.distributed.run")
        confine = (sys.executable, "-m", "kedge.training.confine", rules.to_text())
        command = (*confine, *launcher, *rendezvous, *workers, "-m", "kedge.training.worker")
        inherited = {name: value for name, value in env.items() if _is_inherited(name)}
        own = {"PYTHONPATH": _python_path(room, env), PIPE: str(room.pipe), OUT: str(room.out), **_home(room.temporary)}
        return cls(command, {**inherited, **_QUIET, **own}, room.folder, described(rules))


def _is_inherited(name: str) -> bool:
    return name in _INHERITED or (name.startswith(_INHERITED_FAMILIES) and not name.upper().endswith(_SECRET))


def _home(temporary: Path) -> dict[str, str]:
    """Where torch, torchrun and CUDA leave things: a folder that is removed in the end. No real user's name or home."""
    cache = temporary / "cache"
    folders = {name: str(temporary) for name in ("HOME", "TMPDIR")}
    caches = {"XDG_CACHE_HOME": cache, "TORCH_HOME": cache / "torch", "TRITON_CACHE_DIR": cache / "triton"}
    more = {"TORCHINDUCTOR_CACHE_DIR": cache / "inductor", "CUDA_CACHE_PATH": cache / "cuda"}
    return {"USER": "kedge", **folders, **{name: str(path) for name, path in (caches | more).items()}}


def _python_path(room: Room, env: Mapping[str, str]) -> str:
    """This very kedge must be found first: by its second name where the project may not be listed, else where it is."""
    root = str(Path(kedge.__file__).parent.parent)
    return os.pathsep.join([str(room.code), root, *filter(None, [env.get("PYTHONPATH")])])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
