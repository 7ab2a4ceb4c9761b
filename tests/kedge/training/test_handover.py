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

HEAD = "import os, sys, time; from pathlib import Path; from kedge.training.handover import receive\n"
TAKE = HEAD + "with receive(Path(sys.argv[1]), orphaned=lambda: os._exit(7)) as content: "
ROOT = Path(__file__).parents[3]


def child(code: str, pipe: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code, str(pipe)], cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_a_child_gets_every_byte(tmp_path: Path, size: int) -> None:
    content = os.urandom(size) + b"end"
    with serve(tmp_path / "pipe", content):
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
        assert stat.S_IMODE((tmp_path / "pipe").stat().st_mode) == 0o600
        reader = child(TAKE + "sys.stdout.buffer.write(content)", tmp_path / "pipe")
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
    with pytest.raises(Transient, match="its task over the pipe; got nothing"):
        _take(tmp_path / "pipe")


def _take(pipe: Path) -> None:
    with receive(pipe, orphaned=lambda: None, wait_seconds=0.1):
        pass


def test_half_a_task_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    descriptor = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(descriptor, (100).to_bytes(8) + b"half")
    with pytest.raises(Transient, match="got a part of it"):
        _take(tmp_path / "pipe")
    os.close(descriptor)


def test_a_child_whose_parent_dies_while_it_works_ends(tmp_path: Path) -> None:
    with serve(tmp_path / "pipe", b"secret"):
        worker = child(TAKE + "print('got it', flush=True); time.sleep(60)", tmp_path / "pipe")
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"got it\n"
        assert worker.poll() is None
    assert worker.wait(timeout=10) == 7
    worker.stdout.close()
