import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kedge.errors import Transient
from kedge.training.handover import receive, serve

READ = "import sys; from pathlib import Path; from kedge.training.handover import receive; "
ROOT = Path(__file__).parents[3]


def child(code: str, pipe: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", READ + code, str(pipe)], cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_a_child_gets_every_byte(tmp_path: Path, size: int) -> None:
    content = os.urandom(size) + b"end"
    with serve(tmp_path / "pipe", content):
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
        assert stat.S_IMODE((tmp_path / "pipe").stat().st_mode) == 0o600
        reader = child("sys.stdout.buffer.write(receive(Path(sys.argv[1])))", tmp_path / "pipe")
        assert reader.communicate()[0] == content
    assert not (tmp_path / "pipe").exists()


def test_an_offer_that_nobody_takes_is_withdrawn(tmp_path: Path) -> None:
    begun = time.monotonic()
    with serve(tmp_path / "pipe", b"secret"):
        pass
    assert time.monotonic() - begun < 5
    assert not any(thread.name == "kedge-handover" for thread in threading.enumerate())


def test_a_reader_that_dies_half_way_does_no_harm(tmp_path: Path) -> None:
    with serve(tmp_path / "pipe", bytes(1_000_000)):
        reader = child("open(sys.argv[1], 'rb').read(10)", tmp_path / "pipe")
        reader.communicate()
    assert not (tmp_path / "pipe").exists()


def test_a_child_whose_parent_is_gone_does_not_wait_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Transient, match=r"its task within 0.1 s; got nothing"):
        receive(tmp_path / "pipe", wait_seconds=0.1)
