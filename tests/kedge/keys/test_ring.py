import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kedge import durable
from kedge.errors import Conflict, KedgeError, Tampered, Terminal
from kedge.keys import KeyGone, KeyRing, WrongKey, new_key

LAKE = "l" + "0" * 32
ROOT = Path(__file__).parents[3]


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
    started = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT) for _ in range(3)]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    keks = {process.communicate()[0] for process in started}
    assert len(keks) == 1
    assert keks != {""}


def test_a_destroyed_key_is_out_of_the_file_and_of_every_open_ring_at_once(ring: KeyRing, tmp_path: Path) -> None:
    other = KeyRing.open(tmp_path / "keys", LAKE)
    wrapped = ring.wrap("bank", "open", new_key(), b"place")
    other.unwrap("bank", "open", wrapped, b"place")
    ring.rotate("bank", "open")
    sealed = json.loads(ring_file(tmp_path / "keys").read_text())["keys"]["bank/open"]["keys"][wrapped["kek"]]["sealed"]
    ring.destroy("bank", "open", wrapped["kek"])
    assert sealed not in ring_file(tmp_path / "keys").read_text()
    for one in (ring, other):
        with pytest.raises(KeyGone, match="was destroyed at 20") as caught:
            one.unwrap("bank", "open", wrapped, b"place")
        assert caught.value.part == "key"


def test_a_destroyed_key_keeps_its_dates_and_destroying_it_again_changes_nothing(ring: KeyRing, tmp_path: Path) -> None:
    kek = ring.wrap("bank", "open", new_key(), b"")["kek"]
    ring.rotate("bank", "open")
    ring.destroy("bank", "open", kek)
    before = ring_file(tmp_path / "keys").read_bytes()
    ring.destroy("bank", "open", kek)
    assert ring_file(tmp_path / "keys").read_bytes() == before
    gone, current = ring.keys("bank")
    assert (gone.id, gone.current, current.current, current.destroyed) == (kek, False, True, None)
    assert gone.destroyed is not None
    assert gone.created < gone.destroyed


def test_without_a_current_key_the_next_wrap_makes_one(ring: KeyRing) -> None:
    old = ring.wrap("bank", "open", new_key(), b"")["kek"]
    ring.destroy("bank", "open", old)
    assert ring.wrap("bank", "open", new_key(), b"")["kek"] != old


def test_a_key_that_was_never_there_cannot_be_destroyed(ring: KeyRing) -> None:
    ring.wrap("bank", "open", new_key(), b"")
    with pytest.raises(KeyGone, match="never held it"):
        ring.destroy("bank", "open", "k0")
    with pytest.raises(KeyGone, match="never held it"):
        ring.destroy("shop", "open", "k0")


def test_keys_are_listed_without_the_key(ring: KeyRing) -> None:
    for pipeline, zone in [("shop", "open"), ("bank", "restricted"), ("bank", "audit")]:
        ring.wrap(pipeline, zone, new_key(), b"")
    assert [(kek.pipeline, kek.zone) for kek in ring.keys(None)] == [
        ("bank", "audit"),
        ("bank", "restricted"),
        ("shop", "open"),
    ]
    assert [kek.zone for kek in ring.keys("bank")] == ["audit", "restricted"]
    assert ring.keys("nobody") == []


def test_a_key_that_had_to_be_made_is_announced_once_and_the_ring_is_free_then(ring: KeyRing) -> None:
    made = []

    def note(kek: Any) -> None:
        made.append(kek)
        ring.rotate("other", "open")

    ring.announce = note
    first = ring.wrap("bank", "open", new_key(), b"")["kek"]
    ring.wrap("bank", "open", new_key(), b"")
    assert [(kek.pipeline, kek.zone, kek.id, kek.current) for kek in made] == [("bank", "open", first, True)]


def test_erasures_are_counted_for_each_pipeline(ring: KeyRing, tmp_path: Path) -> None:
    assert ring.erasures("bank") == 0
    assert [ring.count_erasure("bank"), ring.count_erasure("bank"), ring.count_erasure("shop")] == [1, 2, 1]
    assert KeyRing.open(tmp_path / "keys", LAKE).erasures("bank") == 2


def test_many_processes_count_without_losing_one(ring: KeyRing, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kedge.keys import KeyRing;"
        f"ring = KeyRing.open(Path(sys.argv[1]), {LAKE!r});"
        "[ring.count_erasure('bank') for _ in range(20)]; [ring.rotate('bank', 'open') for _ in range(5)]"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "keys")]
    started = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert ring.erasures("bank") == 60
    assert len(ring.keys("bank")) == 15


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in the ring that can be edited."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    yield path


def edited(content: Any, path: tuple[Any, ...]) -> Any:
    """The content with another value there: numbers and texts slightly, all else replaced."""
    if path:
        return {**content, path[0]: edited(content[path[0]], path[1:])}
    if isinstance(content, int):
        return content + 1
    if isinstance(content, str):
        return content[:-1] + ("0" if content[-1:] != "0" else "1")
    return None if content != {} else {"added": {}}


def test_an_edit_anywhere_is_noticed(ring: KeyRing, tmp_path: Path) -> None:
    ring.wrap("bank", "open", new_key(), b"")
    ring.rotate("bank", "open")
    ring.destroy("bank", "open", ring.keys("bank")[0].id)
    ring.count_erasure("bank")
    path = ring_file(tmp_path / "keys")
    content = json.loads(path.read_text())
    places = [place for place in leaves(content) if place not in ((), ("format",))]
    assert len(places) > 12
    for place in places:
        path.write_text(json.dumps(edited(content, place)))
        with pytest.raises(Tampered) as caught:
            KeyRing.open(tmp_path / "keys", LAKE)
        assert caught.value.part == "ring", place
    path.write_text(json.dumps(content))
    assert KeyRing.open(tmp_path / "keys", LAKE).erasures("bank") == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_flipped_bit_or_a_cut_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, at: float, bit: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    made = KeyRing.create(folder, LAKE)
    made.wrap("bank", "open", new_key(), b"")
    path = ring_file(folder)
    good = path.read_bytes()
    where = int(at * len(good))
    flipped = good[:where] + bytes([good[where] ^ (1 << bit)]) + good[where + 1 :]
    path.write_bytes(good[:where] if cut else flipped)
    if same_ring(path, good):  # in the white space between two fields
        assert len(KeyRing.open(folder, LAKE).keys("bank")) == 1
        return
    with pytest.raises(Terminal):
        KeyRing.open(folder, LAKE)


def same_ring(path: Path, good: bytes) -> bool:
    try:
        return bool(json.loads(path.read_bytes()) == json.loads(good))
    except ValueError:
        return False


def test_a_ring_of_an_older_format_is_refused_and_not_converted(ring: KeyRing, tmp_path: Path) -> None:
    path = ring_file(tmp_path / "keys")
    path.write_text(json.dumps({"format": 1, "lake": LAKE, "keys": {}}))
    with pytest.raises(Terminal, match=r"another format.*not converted") as caught:
        KeyRing.open(tmp_path / "keys", LAKE)
    assert not isinstance(caught.value, Tampered)


def test_two_keys_cannot_change_places(ring: KeyRing, tmp_path: Path) -> None:
    """Also somebody who could authenticate the ring cannot: each key is sealed for its own slot."""
    for zone in ("open", "restricted"):
        ring.wrap("bank", zone, new_key(), b"")
    with ring._file.changing() as (content, _):
        (one,), (two,) = (content["keys"][f"bank/{zone}"]["keys"].values() for zone in ("open", "restricted"))
        one["sealed"], two["sealed"] = two["sealed"], one["sealed"]
    with pytest.raises(WrongKey):
        KeyRing.open(tmp_path / "keys", LAKE).wrap("bank", "open", new_key(), b"")


def test_no_key_is_in_the_file_in_plaintext(ring: KeyRing, tmp_path: Path) -> None:
    ring.wrap("bank", "open", new_key(), b"")
    kek = ring.keys()[0].id
    secret = ring._file.state().secret("bank/open", kek)
    assert secret not in ring_file(tmp_path / "keys").read_bytes()
    assert secret.hex() not in ring_file(tmp_path / "keys").read_text()


def test_unwrapping_reads_the_ring_only_when_it_changed(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = ring.wrap("bank", "open", new_key(), b"")
    ring.unwrap("bank", "open", wrapped, b"")
    reads: list[int] = []
    read = ring._file._read
    monkeypatch.setattr(ring._file, "_read", lambda: reads.append(1) or read())
    began = time.perf_counter()
    for _ in range(1_000):
        ring.unwrap("bank", "open", wrapped, b"")
    assert reads == []
    assert time.perf_counter() - began < 1
    ring.rotate("bank", "restricted")
    reads.clear()
    ring.unwrap("bank", "open", wrapped, b"")
    assert reads == [1]


WRITES = {
    "wrap": "ring.wrap('shop', 'open', bytes(32), b'')",
    "rotate": "ring.rotate('bank', 'open')",
    "destroy": "ring.destroy('bank', 'open', ring.keys('bank')[0].id)",
    "erasure": "ring.count_erasure('bank')",
}


@pytest.mark.parametrize("step", durable.REPLACE)
@pytest.mark.parametrize("write", WRITES)
def test_killed_at_each_step_of_a_write_the_ring_is_the_old_or_the_new_one(
    ring: KeyRing, tmp_path: Path, write: str, step: str
) -> None:
    key = new_key()
    wrapped = ring.wrap("bank", "open", key, b"")
    kek = ring.rotate("bank", "open")
    newer = ring.wrap("bank", "open", key, b"")
    before = json.loads(ring_file(tmp_path / "keys").read_text())
    code = (
        "import sys; from pathlib import Path; from kedge.keys import KeyRing;"
        f"ring = KeyRing.open(Path(sys.argv[1]), {LAKE!r}); {WRITES[write]}"
    )
    environment = {**os.environ, "KEDGE_FAULT": f"keys.ring.{step}:kill"}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "keys")], env=environment, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    after = json.loads(ring_file(tmp_path / "keys").read_text())
    assert (after == before) == (step in durable.WRITE)
    opened = KeyRing.open(tmp_path / "keys", LAKE)
    assert opened.unwrap("bank", "open", newer, b"") == key
    exec(WRITES[write].replace("ring.", "opened."), {"opened": opened})
    assert list(ring_file(tmp_path / "keys").parent.glob(".tmp-*")) == []
    gone = [one.id for one in opened.keys("bank") if one.destroyed]
    assert gone == ([wrapped["kek"]] if write == "destroy" else [])
    assert kek in [one.id for one in opened.keys("bank")]


@pytest.mark.parametrize("kind", ["error", "full"])
def test_a_disk_that_does_not_take_it_leaves_the_ring_as_it_was(
    ring: KeyRing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    wrapped = ring.wrap("bank", "open", new_key(), b"")
    before = ring_file(tmp_path / "keys").read_bytes()
    for step in durable.WRITE:
        monkeypatch.setenv("KEDGE_FAULT", f"keys.ring.{step}:{kind}")
        for change in (lambda: ring.rotate("bank", "open"), lambda: ring.destroy("bank", "open", wrapped["kek"])):
            with pytest.raises(KedgeError, match="KEDGE_KEYS"):
                change()
        monkeypatch.delenv("KEDGE_FAULT")
        assert ring_file(tmp_path / "keys").read_bytes() == before
    ring.unwrap("bank", "open", wrapped, b"")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["wrap", "rotate", "destroy", "rewrap", "count", "reopen"]), max_size=25), st.randoms())
def test_whatever_is_done_in_whatever_order_what_is_not_destroyed_opens(
    tmp_path_factory: pytest.TempPathFactory, done: list[str], chance: random.Random
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    ring, stored, gone, counted = KeyRing.create(folder, LAKE), {}, set(), 0
    for number, what in enumerate(done):
        zone = chance.choice(["open", "restricted"])
        held = [kek.id for kek in ring.keys("bank") if kek.zone == zone]
        if what == "wrap":
            stored[number] = (zone, key := new_key(), ring.wrap("bank", zone, key, b"%d" % number))
        elif what == "rotate":
            ring.rotate("bank", zone)
        elif what == "destroy" and held:
            gone.add(kek := chance.choice(held))
            ring.destroy("bank", zone, kek)
        elif what == "rewrap":
            for name, (owner, key, wrapped) in stored.items():
                if owner == zone and wrapped["kek"] not in gone:
                    stored[name] = owner, key, ring.rewrap("bank", owner, wrapped, b"%d" % name)
        elif what == "count":
            counted = ring.count_erasure("bank")
        else:
            ring = KeyRing.open(folder, LAKE)
    assert ring.erasures("bank") == counted
    assert {kek.id for kek in ring.keys(None) if kek.destroyed} == gone
    for name, (zone, key, wrapped) in stored.items():
        if wrapped["kek"] in gone:
            with pytest.raises(KeyGone):
                ring.unwrap("bank", zone, wrapped, b"%d" % name)
        else:
            assert ring.unwrap("bank", zone, wrapped, b"%d" % name) == key
