import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.errors import Conflict, Tampered, Terminal
from kedge.keys import KeyGone, KeyRing, WrongKey, new_key

LAKE = "l" + "0" * 32


def ring_file(folder: Path) -> Path:
    return folder / LAKE / "ring.json"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "keys", LAKE)


def test_wrap_and_unwrap(ring: KeyRing, tmp_path: Path) -> None:
    key = new_key()
    wrapped = ring.wrap("bank", "open", key, b"place")
    json.dumps(wrapped)
    assert ring.unwrap("bank", "open", wrapped, b"place") == key
    assert KeyRing.open(tmp_path / "keys", LAKE).unwrap("bank", "open", wrapped, b"place") == key


@pytest.mark.parametrize(
    ("pipeline", "zone", "context"),
    [("bank", "open", b"elsewhere"), ("bank", "restricted", b"place"), ("b", "open", b"place")],
)
def test_a_wrapped_key_opens_only_where_it_belongs(ring: KeyRing, pipeline: str, zone: str, context: bytes) -> None:
    wrapped = ring.wrap("bank", "open", new_key(), b"place")
    ring.wrap("bank", "restricted", new_key(), b"place")
    with pytest.raises(Terminal):
        ring.unwrap(pipeline, zone, wrapped, context)


def test_pipelines_and_zones_have_keys_of_their_own(ring: KeyRing) -> None:
    owners = [("a", "open"), ("a", "restricted"), ("b", "open")]
    keks = {ring.wrap(pipeline, zone, new_key(), b"")["kek"] for pipeline, zone in owners}
    assert len(keks) == 3


def test_unwrap_never_makes_a_key(ring: KeyRing, tmp_path: Path) -> None:
    before = ring_file(tmp_path / "keys").read_bytes()
    with pytest.raises(KeyGone, match="never held it"):
        ring.unwrap("bank", "open", {"kek": "k1", "wrapped": ""}, b"")
    assert ring_file(tmp_path / "keys").read_bytes() == before


@pytest.mark.parametrize("wrapped", [{}, {"kek": "k"}, {"kek": "k", "wrapped": "?"}, {"kek": "k", "wrapped": 3}])
def test_a_damaged_wrapped_key_is_named(ring: KeyRing, wrapped: dict[str, object]) -> None:
    with pytest.raises(Tampered, match="wrapped key of place"):
        ring.unwrap("bank", "open", wrapped, b"place")


def test_an_altered_wrapped_key_is_a_wrong_key(ring: KeyRing) -> None:
    wrapped = ring.wrap("bank", "open", new_key(), b"place")
    other = ring.wrap("bank", "open", new_key(), b"elsewhere")
    with pytest.raises(WrongKey, match="wrapped key of place"):
        ring.unwrap("bank", "open", {**wrapped, "wrapped": other["wrapped"]}, b"place")


def test_rotation_keeps_old_keys_and_rewraps(ring: KeyRing) -> None:
    key = new_key()
    old = ring.wrap("bank", "open", key, b"place")
    assert ring.rewrap("bank", "open", old, b"place") is old
    kek = ring.rotate("bank", "open")
    new = ring.rewrap("bank", "open", old, b"place")
    assert new["kek"] == kek != old["kek"]
    assert ring.unwrap("bank", "open", new, b"place") == ring.unwrap("bank", "open", old, b"place") == key


def test_another_process_sees_a_rotation(ring: KeyRing, tmp_path: Path) -> None:
    other = KeyRing.open(tmp_path / "keys", LAKE)
    other.wrap("bank", "open", new_key(), b"")
    kek = ring.rotate("bank", "open")
    assert other.wrap("bank", "open", new_key(), b"")["kek"] == kek


def test_only_the_owner_may_read_it(ring: KeyRing, tmp_path: Path) -> None:
    ring.wrap("bank", "open", new_key(), b"")
    assert ring_file(tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert ring_file(tmp_path / "keys").parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["ring.json", "."])
def test_a_ring_that_others_may_read_is_refused(ring: KeyRing, tmp_path: Path, name: str) -> None:
    (ring_file(tmp_path / "keys").parent / name).chmod(0o755)
    with pytest.raises(Terminal, match="0755"):
        KeyRing.open(tmp_path / "keys", LAKE)


def test_a_missing_ring_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(Terminal, match="KEDGE_KEYS"):
        KeyRing.open(tmp_path / "keys", LAKE)
    assert not (tmp_path / "keys").exists()


def test_an_existing_ring_is_not_overwritten(ring: KeyRing, tmp_path: Path) -> None:
    with pytest.raises(Conflict):
        KeyRing.create(tmp_path / "keys", LAKE)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"lake": "l1", "keys": {}}'])
def test_a_ring_of_another_lake_or_no_ring_is_refused(ring: KeyRing, tmp_path: Path, content: str) -> None:
    ring_file(tmp_path / "keys").write_text(content)
    with pytest.raises(Tampered, match="key ring of another lake" if "l1" in content else "no key ring"):
        KeyRing.open(tmp_path / "keys", LAKE)


def test_it_prints_and_pickles_nothing(ring: KeyRing) -> None:
    ring.wrap("bank", "open", new_key(), b"")
    assert repr(ring) == f"KeyRing({LAKE})"
    with pytest.raises(TypeError, match="does not travel"):
        pickle.dumps(ring)


def test_processes_that_need_the_first_key_at_once_agree_on_it(ring: KeyRing, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kedge.keys import KeyRing, new_key;"
        f"ring = KeyRing.open(Path(sys.argv[1]), {LAKE!r}); sys.stdin.readline();"
        "print(ring.wrap('bank', 'open', new_key(), b'')['kek'])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "keys")]
    root = Path(__file__).parents[3]
    started = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=root) for _ in range(3)]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    keks = {process.communicate()[0] for process in started}
    assert len(keks) == 1
    assert keks != {""}
