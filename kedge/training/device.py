"""Where a training runs: what was asked for, what there is, and what was chosen. Never a silent fallback."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kedge.errors import Terminal

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # without them bf16 is emulated and slower than fp32


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine offers.

    Attributes:
        cuda: name of the first CUDA device torch can use, None without one.
        cpu_bf16: whether the CPU multiplies bf16 matrices in hardware.
    """

    cuda: str | None
    cpu_bf16: bool


@dataclass(frozen=True, kw_only=True)
class Device:
    """What was chosen.

    Attributes:
        kind: cpu or cuda; torch's name of the device.
        name: for people.
        precision: bf16 (autocast) or fp32.
        asked: the setting it was chosen for.
    """

    kind: str
    name: str
    precision: str
    asked: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def probe() -> Machine:
    """Look at this machine."""
    import torch

    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return Machine(cuda=cuda, cpu_bf16=bool(_BF16_FLAGS & _cpu_flags(Path("/proc/cpuinfo"))))


def _cpu_flags(cpuinfo: Path) -> set[str]:
    if not cpuinfo.is_file():  # not Linux: fp32 is right everywhere
        return set()
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def choose(asked: str, look: Callable[[], Machine] = probe) -> Device:
    """Decide where to train.

    Args:
        asked: `training.device` of the declaration: auto (a GPU if there is one), cpu or cuda.
        look: says what the machine offers.

    Raises:
        Terminal: cuda was asked for and there is none, or the setting is unknown.
    """
    if asked not in ("auto", "cpu", "cuda"):
        raise Terminal("training.device", need="auto, cpu or cuda", got="another word", remedy="Write one of them.")
    machine = look()
    if asked == "cuda" and machine.cuda is None:
        raise Terminal(
            "training.device",
            need="a CUDA device that torch can use",
            got="none on this machine",
            remedy="Run where there is one (nvidia-smi lists it; torch must be the CUDA build), or write auto or cpu.",
        )
    if machine.cuda is not None and asked != "cpu":
        return Device(kind="cuda", name=machine.cuda, precision="bf16", asked=asked)
    return Device(kind="cpu", name="CPU", precision="bf16" if machine.cpu_bf16 else "fp32", asked=asked)
