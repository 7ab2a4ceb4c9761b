import errno
import tempfile
from pathlib import Path

import pytest

from kedge import durable
from kedge.errors import Terminal, Transient


def test_replace_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "current.json"
    durable.replace(path, b"old", point="p")
    monkeypatch.setenv("KEDGE_FAULT", "p.written:error")
    with pytest.raises(OSError, match="fault injected"):
        durable.replace(path, b"new", point="p")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_modes_hold_from_the_first_byte(tmp_path: Path) -> None:
    durable.replace(tmp_path / "secret", b"x", mode=0o600, point="p")
    durable.make_folder(tmp_path / "a" / "b", mode=0o700)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [p.stat().st_mode & 0o777 for p in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700, 0o700]


def test_write_follows_no_link_and_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(FileExistsError):
            durable.write(tmp_path / name, b"x", point="p")
    assert not (tmp_path / "target").exists()


def test_only_what_dead_writers_left_is_swept(tmp_path: Path) -> None:
    alive = durable.Scratch(tmp_path)
    (tmp_path / f"{durable.TEMPORARY}1-dead").mkdir()
    (tmp_path / f"{durable.TEMPORARY}file").touch()
    (tmp_path / "kept").touch()
    assert durable.sweep(tmp_path) == 2
    assert set(tmp_path.iterdir()) == {alive.path, tmp_path / "kept"}
    alive.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


@pytest.mark.parametrize(
    ("error", "kind", "remedy"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Transient, "Free some space"),
        (OSError(errno.EIO, "Input/output error"), Transient, "Look at the disk"),
        (PermissionError(errno.EACCES, "Permission denied"), Terminal, "owner"),
    ],
)
def test_what_the_disk_says_becomes_a_clear_error(error: OSError, kind: type[Exception], remedy: str) -> None:
    with pytest.raises(kind, match=remedy), durable.storage("open/bank"):
        raise error


def test_a_scratch_folder_is_private_and_the_next_one_removes_what_a_killed_process_left(tmp_path: Path) -> None:
    parent = tmp_path / "training"
    with durable.scratch(parent) as alive:
        (parent / f"{durable.TEMPORARY}1-dead").mkdir()
        with durable.scratch(parent) as other:
            (other / "file").touch()
            assert {alive, other} == set(parent.glob(f"{durable.TEMPORARY}*"))
            assert other.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in parent.iterdir()] == [".lock"]


def test_a_temporary_folder_that_others_may_enter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = durable.own_temporary()
    assert folder == durable.own_temporary()
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with pytest.raises(Terminal, match="mode 0700"):
        durable.own_temporary()
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Terminal, match="a link"):
        durable.own_temporary()
