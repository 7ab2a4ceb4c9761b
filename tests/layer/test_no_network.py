"""The whole pipeline without any network: nights, a first champion, a scored night, in processes that have none.

Where the kernel lets us, they live in a network namespace of their own, with nothing in it but the loopback that
torchrun's rendezvous needs. Everywhere, whatever would leave this machine is written down and refused, look-ups
included.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.settings import Settings
from kedge.testing.bank import Bank
from kedge.testing.known import hold_out
from kedge.workspace import Workspace

ROOT = Path(__file__).parent.parent.parent
KEDGE = str(Path(sys.executable).parent / "kedge")
FIRST, LAST, SCORED = "2026-01-31", "2026-02-01", "2026-02-02"
REFUSE = """
import os, socket

def guard(name):
    original = getattr(socket.socket, name)
    def guarded(self, *arguments):
        address = arguments[-1]
        if self.family != socket.AF_UNIX and str(address[0]) not in ("127.0.0.1", "::1", "localhost"):
            refuse(name)
        return original(self, *arguments)
    return guarded

def refuse(what):
    with open(os.environ["ASKED"], "a") as asked:
        asked.write(what + "\\n")
    raise OSError("there is no network")

for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, guard(name))
look_up = socket.getaddrinfo
def local(host, *arguments, **more):
    if host not in (None, "", "localhost", "127.0.0.1", "::1", socket.gethostname()):
        refuse(f"look-up of {host}")
    return look_up(host, *arguments, **more)
socket.getaddrinfo = local
"""
ALONE = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING: see netdevice(7)
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x41))
assert [name for _, name in socket.if_nameindex()] == ["lo"]
os.execv(sys.argv[1], sys.argv[1:])
"""


def _alone() -> list[str]:
    """How to start a command in a network namespace of its own; nothing where the kernel forbids that."""
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-c", ALONE]
    try:
        allowed = subprocess.run([*command, "/bin/true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return command if allowed else []


@pytest.fixture
def environment(places: Settings, tmp_path: Path) -> dict[str, str]:
    """In which every Python process refuses to leave this machine and writes down who wanted to."""
    folder = tmp_path / "refuse"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(REFUSE)
    (tmp_path / "asked").touch()
    return os.environ | {
        "PYTHONPATH": f"{folder}:{ROOT}",
        "ASKED": str(tmp_path / "asked"),
        "KEDGE_PIPELINES": str(places.pipelines),
    }


@pytest.mark.faults
def test_without_any_network_nights_a_champion_and_scores_come_about(
    places: Settings, bank: Bank, environment: dict[str, str], tmp_path: Path
) -> None:
    hold_out(places, "bank")
    for number in range(1, 4):
        bank.write(bank.night(number), places.data / "inbox")
    for words in (
        ["--partition", FIRST, "--until", LAST],
        ["--partition", LAST, "--job", "retrain"],
        ["--partition", SCORED],
    ):
        command = [*_alone(), sys.executable, KEDGE, "run", "bank", *words]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "asked").read_text() == ""
    workspace = Workspace.open(places)
    assert workspace.dataset("bank", "drift_report").current(SCORED) is not None
    assert workspace.dataset("bank", "predictions").current(SCORED) is not None


def test_who_asks_for_the_network_is_refused_and_written_down(environment: dict[str, str], tmp_path: Path) -> None:
    ask = "import urllib.request; urllib.request.urlopen('http://example.invalid/')"
    refused = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=False)
    assert "there is no network" in refused.stderr
    assert "look-up of example.invalid" in (tmp_path / "asked").read_text()
