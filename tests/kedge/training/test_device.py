from pathlib import Path

import pytest

from kedge.errors import Terminal
from kedge.training.device import Machine, _cpu_flags, choose, probe

GPU, PLAIN, FAST = (
    Machine(cuda="NVIDIA H200", cpu_bf16=False),
    Machine(cuda=None, cpu_bf16=False),
    Machine(cuda=None, cpu_bf16=True),
)


@pytest.mark.parametrize(
    ("asked", "machine", "kind", "precision"),
    [
        ("auto", GPU, "cuda", "bf16"),
        ("auto", PLAIN, "cpu", "fp32"),
        ("auto", FAST, "cpu", "bf16"),
        ("cpu", GPU, "cpu", "fp32"),
        ("cuda", GPU, "cuda", "bf16"),
    ],
)
def test_what_is_chosen(asked: str, machine: Machine, kind: str, precision: str) -> None:
    device = choose(asked, lambda: machine)
    assert (device.kind, device.precision, device.asked) == (kind, precision, asked)
    assert device.name == ("NVIDIA H200" if kind == "cuda" else "CPU")


def test_cuda_without_a_gpu_is_an_error() -> None:
    with pytest.raises(Terminal, match=r"training.device: needs a CUDA device that torch can use; got none"):
        choose("cuda", lambda: PLAIN)


def test_another_word_is_an_error() -> None:
    with pytest.raises(Terminal, match="auto, cpu or cuda"):
        choose("gpu", lambda: GPU)


@pytest.mark.parametrize(
    ("flags", "bf16"), [("fpu avx512_bf16 sse", True), ("fpu amx_bf16", True), ("fpu avx512f", False)]
)
def test_bf16_is_read_from_the_flags(tmp_path: Path, flags: str, bf16: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")
    found = _cpu_flags(tmp_path / "cpuinfo")
    assert bool(found & {"avx512_bf16", "amx_bf16"}) is bf16
    assert _cpu_flags(tmp_path / "none") == set()


def test_this_machine_can_be_looked_at() -> None:
    machine = probe()
    assert choose("auto").kind == ("cuda" if machine.cuda else "cpu")
