import os
import stat
from pathlib import Path

import pytest

import kedge
from kedge.errors import Transient
from kedge.training import room as rooms
from kedge.training.room import Room, room


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"encrypted")
    return path


def test_a_file_gets_a_second_name(stored: Path) -> None:
    with room() as place:
        first, second = place.take_in(stored), place.take_in(stored)
        assert first != second
        assert first.parent == place.files
        assert first.samefile(stored)
        assert not any(first.is_relative_to(folder) for folder in place.own), "what it may write has no second names"
    assert stored.read_bytes() == b"encrypted"
    assert stored.stat().st_nlink == 1


def test_on_another_file_system_it_is_copied(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with room() as place:
        name = place.take_in(stored)
        assert name.read_bytes() == b"encrypted"
        assert not name.samefile(stored)


def test_a_file_that_is_gone_is_said(stored: Path) -> None:
    stored.unlink()
    with room() as place, pytest.raises(Transient):
        place.take_in(stored)


def test_nobody_else_may_enter_and_nothing_stays() -> None:
    with room() as place:
        assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
        assert (place.code / "kedge").resolve() == Path(kedge.__file__).parent.resolve()
        assert sorted(path.name for path in place.folder.iterdir()) == ["code", "files", "out", "temporary"]
    assert not place.folder.exists()


def test_another_users_room_can_be_passed_through_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    owned = []
    monkeypatch.setattr(os, "chown", lambda path, user, group: owned.append((Path(path).name, user, group)))
    with room(65534) as place:
        assert place.folder.parent == tmp_path / f"kedge-{os.getuid()}-training"
        assert stat.S_IMODE(place.folder.parent.stat().st_mode) == 0o711
        assert stat.S_IMODE(place.folder.stat().st_mode) == 0o750
        assert [name for name, user, _ in owned if user == 65534] == ["out", "temporary"]
        secret = tmp_path / "secret.parquet"
        secret.touch(mode=0o600)
        assert not place.take_in(secret).samefile(secret), "its mode would be that of the lake's file"


def test_its_points_are_registered() -> None:
    assert {
        f"training.{name}.{step}" for name in ("room", "file") for step in ("before", "after")
    } <= rooms.faults.points()
    assert Room(Path("/x")).own == (Path("/x/out"), Path("/x/temporary"))
