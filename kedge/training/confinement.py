"""What confines a training process: decided by the process that starts it, and told in the model's manifest."""

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import kedge
from kedge import faults
from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.training import landlock, syscalls
from kedge.training.confine import Rules

Wanted = Literal["auto", "required", "off"]

_LIBRARIES = ("torch", "numpy", "pyarrow", "safetensors", "cryptography", "rtdl_num_embeddings", "dagster_pipes")
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt/nvidia", "/opt/cuda", "/opt/rocm")
_READ = (
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
    "/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf",
    "/etc/ssl/openssl.cnf", "/etc/vulkan", "/etc/OpenCL",
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/version", "/proc/filesystems", "/proc/devices",
    "/proc/modules", "/proc/driver", "/proc/sys/vm", "/proc/sys/kernel",
    "/sys/devices", "/sys/bus", "/sys/class", "/sys/module", "/sys/kernel/mm", "/sys/fs/cgroup",
)  # fmt: skip
"""Facts about the machine. Nothing of another process: what stands below `/proc/<pid>` is not among them."""
_PYTHON = ("bin", "lib", "lib64", "include", "pyvenv.cfg")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/dri", "/dev/kfd")
_GPU = "nvidia*"
_SHARED = "/dev/shm"  # noqa: S108 - where torch and CUDA share memory between processes


@dataclass(frozen=True)
class Isolation:
    """How far a training process is to be kept from the rest of the machine.

    Attributes:
        wanted: `auto` takes what the machine offers, `required` fails without Landlock, `off` asks for nothing.
        user: id of the user that the process becomes; None: the one that starts it. Needs root.
        apart: folders that it must not see even where they lie inside one that it has to read.
    """

    wanted: Wanted = "auto"
    user: int | None = None
    apart: Sequence[Path] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the settings ask for; the lake, its keys and the deliveries are apart."""
        place = settings.key_place
        secret = (settings.home, settings.keys, settings.data, place.key_file, place.passphrase_file)
        return cls(settings.training_confined, settings.training_uid, tuple(filter(None, secret)))

    def rules(self, folder: Path, own: Sequence[Path], ports: Sequence[int]) -> Rules:
        """The rules for a process that lives in `folder`.

        Args:
            own: the folders in it that it may write.
            ports: TCP ports it may use.

        Raises:
            Terminal: `required`, and this machine has no Landlock; or another user, and this one is not root.
        """
        is_root = os.geteuid() == 0
        if self.user is not None and not is_root:
            raise Terminal(
                "KEDGE_TRAINING_UID",
                need="to be started as root, which alone may become another user",
                got="another user",
                remedy="Unset it, or start kedge as root.",
            )
        if self.wanted == "off":
            return Rules(user=self.user)
        version = landlock.version()
        if version == 0 and self.wanted == "required":
            raise Terminal(
                "KEDGE_TRAINING_CONFINED",
                need="a kernel with Landlock (Linux 5.13), and a container that lets it through",
                got="none",
                remedy="Run where there is one, or write auto and rely on what confines the container.",
            )
        return Rules(
            landlock=version,
            filtered=syscalls.can_filter(),
            capabilities=is_root and self.user is None,
            user=self.user,
            paths=dict(self._paths(folder, own)),
            ports=ports,
        )

    def _code(self) -> Iterator[Path]:
        """Where the code is; of a Python whose folder is one of `apart`, as an environment made in a project, its own.

        A folder of code that lies inside one of `apart` stays readable.
        """
        apart = {path.resolve() for path in self.apart}
        for place in _code():
            yield from (place / part for part in _PYTHON) if place in apart else (place,)

    def _paths(self, folder: Path, own: Sequence[Path]) -> Iterator[tuple[str, int]]:
        for readable in (*self._code(), *_linked(), *map(Path, _SYSTEM)):
            yield from ((str(path), landlock.USE) for path in without(readable, self.apart))
        yield from ((path, landlock.READ) for path in _READ)
        yield from ((path, landlock.DEVICE) for path in _DEVICES)
        yield from ((str(path), landlock.DEVICE) for path in Path("/dev").glob(_GPU))
        if list(without(Path(_SHARED), (*self.apart, folder))) == [Path(_SHARED)]:
            yield _SHARED, landlock.SHARED
        yield str(folder), landlock.READ
        yield from ((str(path), landlock.OWN) for path in own)
        trace = os.environ.get(faults.VARIABLE, "")
        if trace.startswith(f"{faults.TRACE}:"):  # a test wants to know which fault points are reached
            yield trace.partition(":")[2], landlock.SHARED


def described(rules: Rules) -> str:
    """For people: what is in force."""
    found = [
        f"Landlock {rules.landlock}" if rules.landlock else "",
        "seccomp" if rules.filtered else "",
        "no capabilities" if rules.capabilities else "",
        f"uid {rules.user}" if rules.user is not None else "",
    ]
    return ", ".join(filter(None, found)) or "nothing"


def without(folder: Path, apart: Sequence[Path]) -> Iterator[Path]:
    """The folder, or the largest parts of it in which nothing of `apart` lies."""
    if not any(path.resolve().is_relative_to(folder.resolve()) for path in apart):
        yield folder
    elif folder.resolve() not in {path.resolve() for path in apart} and folder.is_dir():
        for part in sorted(folder.iterdir()):
            yield from without(part, apart)


def _code() -> list[Path]:
    """Python, the libraries of a training, and kedge itself; not the project around it, which may hold anything."""
    found = [Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), Path(kedge.__file__).parent.resolve()]
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        place = Path(spec.origin).resolve().parent
        place = place.parent if spec.submodule_search_locations else place
        if not any(place.is_relative_to(known) for known in found):
            found.append(place)
    return list(dict.fromkeys(found))


def _linked(env: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the administrator has put further shared libraries."""
    return [Path(path) for path in env.get("LD_LIBRARY_PATH", "").split(os.pathsep) if path]
