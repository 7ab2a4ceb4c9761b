import os
from pathlib import Path

import pytest

from kedge.errors import Tampered, Terminal
from kedge.training.report import ERROR, RESULT, leave, raise_left, result, take

KEY = bytes(range(32))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    leave(tmp_path, {"weights": b"0.25 0.75"}, {"best": 3}, KEY)
    return tmp_path


def test_what_was_left_comes_back(out: Path) -> None:
    assert take(out, "weights", KEY) == b"0.25 0.75"
    assert result(out, KEY) == {"best": 3}


def test_no_plaintext_is_on_the_disk(out: Path) -> None:
    stored = b"".join(path.read_bytes() for path in out.iterdir())
    assert b"0.25" not in stored
    assert b"best" not in stored


@pytest.mark.parametrize("how", ["key", "byte", "name", "plaintext", "empty"])
def test_anything_else_is_refused(out: Path, how: str) -> None:
    sealed = (out / "weights").read_bytes()
    changed = {
        "byte": sealed[:-1] + bytes([sealed[-1] ^ 1]),
        "name": (out / RESULT).read_bytes(),
        "plaintext": b"0.25 0.75",
    }
    (out / "weights").write_bytes(changed.get(how, b"" if how == "empty" else sealed))
    with pytest.raises(Tampered, match="weights of the training process"):
        take(out, "weights", bytes(32) if how == "key" else KEY)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "nothing"])
def test_only_a_file_is_read(out: Path, kind: str) -> None:
    """A link could lead to a file of the process that reads, and a pipe would never end."""
    (out / "weights").rename(out / "moved")
    make = {
        "link": lambda p: p.symlink_to(out / "moved"),
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
        "nothing": lambda p: None,
    }
    make[kind](out / "weights")
    with pytest.raises(Terminal, match="no weights, although it ended without an error"):
        take(out, "weights", KEY)


@pytest.mark.parametrize("said", [b"\xff", b"[]", b"{}", b'{"class": "Terminal", "setting": "x"}'])
def test_an_error_that_cannot_be_read_is_an_error(tmp_path: Path, said: bytes) -> None:
    (tmp_path / ERROR).write_bytes(said)
    with pytest.raises(Terminal, match="to say how it ended"):
        raise_left(tmp_path)
