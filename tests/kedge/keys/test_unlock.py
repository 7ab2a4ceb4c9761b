"""What unlocks a key ring: key files, passphrases, and what is said when they are wrong."""

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kedge import durable
from kedge.errors import KedgeError, Tampered, Terminal
from kedge.keys import KeyRing, Unlocking, WrongKey, create_keys, new_key, open_keys
from kedge.keys import unlock as unlocking
from kedge.keys.unlock import Unlocked
from kedge.settings import KeyPlace
from kedge.testing.confined import without_privileges

LAKE = "l" + "0" * 32
PASSPHRASE = "correct horse battery staple"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def ring_file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / LAKE / "ring.json"


def passphrase(tmp_path: Path, text: str = PASSPHRASE) -> Unlocking:
    return Unlocking(passphrase_file=written(tmp_path / "passphrase", text))


def test_the_key_file_is_made_beside_the_ring_for_its_owner_only(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "keys", LAKE)
    key_file = ring_file(tmp_path).with_name("unlock.key")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert len(base64.b64decode(key_file.read_text())) == 32


def test_a_ring_without_its_key_file_opens_nothing(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "keys", LAKE).wrap("bank", "open", new_key(), b"")
    ring_file(tmp_path).with_name("unlock.key").unlink()
    with pytest.raises(Terminal, match=r"unlock\.key.*no such file.*KEDGE_KEYS_KEY_FILE"):
        KeyRing.open(tmp_path / "keys", LAKE)


def test_a_key_file_elsewhere_serves_several_lakes_and_is_never_replaced(tmp_path: Path) -> None:
    elsewhere, key = Unlocking(key_file=tmp_path / "apart" / "our.key"), new_key()
    wrapped = KeyRing.create(tmp_path / "keys", LAKE, elsewhere).wrap("bank", "open", key, b"")
    before = (tmp_path / "apart" / "our.key").read_bytes()
    KeyRing.create(tmp_path / "keys", "l" + "1" * 32, elsewhere)
    assert (tmp_path / "apart" / "our.key").read_bytes() == before
    assert not ring_file(tmp_path).with_name("unlock.key").exists()
    assert KeyRing.open(tmp_path / "keys", LAKE, elsewhere).unwrap("bank", "open", wrapped, b"") == key


def test_the_key_file_of_another_ring_is_a_wrong_key(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "keys", LAKE).wrap("bank", "open", new_key(), b"")
    KeyRing.create(tmp_path / "keys", "l" + "1" * 32)
    other = tmp_path / "keys" / ("l" + "1" * 32) / "unlock.key"
    with pytest.raises(WrongKey, match="the passphrase or key file that this ring was made with") as caught:
        KeyRing.open(tmp_path / "keys", LAKE, Unlocking(key_file=other))
    assert caught.value.part == "key"


@pytest.mark.parametrize("text", ["", "short", "?" * 44, base64.b64encode(bytes(31)).decode()])
def test_a_file_that_holds_no_key_is_named(tmp_path: Path, text: str) -> None:
    KeyRing.create(tmp_path / "keys", LAKE)
    written(ring_file(tmp_path).with_name("unlock.key"), text)
    with pytest.raises(Terminal, match=r"unlock\.key: needs 32 random bytes"):
        KeyRing.open(tmp_path / "keys", LAKE)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_or_passphrase_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    KeyRing.create(tmp_path / "keys", LAKE)
    ring_file(tmp_path).with_name("unlock.key").chmod(mode)
    with pytest.raises(Terminal, match=f"{mode:04o}"):
        KeyRing.open(tmp_path / "keys", LAKE)
    with pytest.raises(Terminal, match=f"{mode:04o}"):
        KeyRing.create(
            tmp_path / "keys", "l" + "1" * 32, Unlocking(passphrase_file=written(tmp_path / "p", PASSPHRASE, mode))
        )


def test_a_secret_that_root_mounted_for_our_group_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Kubernetes does; libpq has the same rule for its keys."""
    KeyRing.create(tmp_path / "keys", LAKE)
    key_file = ring_file(tmp_path).with_name("unlock.key")
    key_file.chmod(0o440)
    owner = key_file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:
        KeyRing.open(tmp_path / "keys", LAKE)
    else:
        with pytest.raises(Terminal, match="0440"):
            KeyRing.open(tmp_path / "keys", LAKE)
    key_file.chmod(0o444)
    with pytest.raises(Terminal, match="0444"):
        KeyRing.open(tmp_path / "keys", LAKE)


def test_a_passphrase_is_stretched_by_scrypt_with_salt_and_cost_in_the_ring(tmp_path: Path) -> None:
    key = new_key()
    ring = KeyRing.create(tmp_path / "keys", LAKE, passphrase(tmp_path))
    wrapped = ring.wrap("bank", "open", key, b"")
    noted = json.loads(ring_file(tmp_path).read_text())
    how = noted["unlock"]
    assert (how["by"], how["n"], how["r"], how["p"]) == ("passphrase", 2**17, 8, 1)
    salt = base64.b64decode(how["salt"])
    stretched = Scrypt(salt=salt, length=32, n=2**17, r=8, p=1).derive(PASSPHRASE.encode())
    assert Unlocked(stretched, LAKE).check == noted["check"]
    assert not ring_file(tmp_path).with_name("unlock.key").exists()
    assert KeyRing.open(tmp_path / "keys", LAKE, passphrase(tmp_path)).unwrap("bank", "open", wrapped, b"") == key


def test_a_passphrase_is_stretched_once_per_process(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "keys", LAKE, passphrase(tmp_path))
    unlocking._derived.clear()
    KeyRing.open(tmp_path / "keys", LAKE, passphrase(tmp_path, PASSPHRASE + "\n"))
    began = time.perf_counter()
    for _ in range(20):
        KeyRing.open(tmp_path / "keys", LAKE, passphrase(tmp_path))
    assert len(unlocking._derived) == 1
    assert time.perf_counter() - began < 1


def test_another_passphrase_is_a_wrong_key_and_not_repeated(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "keys", LAKE, passphrase(tmp_path)).wrap("bank", "open", new_key(), b"")
    with pytest.raises(WrongKey, match="KEDGE_KEYS_PASSPHRASE_FILE") as caught:
        KeyRing.open(tmp_path / "keys", LAKE, passphrase(tmp_path, "another horse battery staple"))
    assert "horse" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("text", ["", "\n", "fourteen chars"])
def test_a_passphrase_that_is_too_short_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Terminal, match="at least 15 characters"):
        KeyRing.create(tmp_path / "keys", LAKE, passphrase(tmp_path, text))
    assert not ring_file(tmp_path).exists()


def test_the_other_way_to_unlock_is_said(tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "keys", LAKE)
    with pytest.raises(Terminal, match="opens with a key file"):
        KeyRing.open(tmp_path / "keys", LAKE, passphrase(tmp_path))
    other = "l" + "1" * 32
    KeyRing.create(tmp_path / "keys", other, passphrase(tmp_path))
    with pytest.raises(Terminal, match="the file with the passphrase that this ring opens with"):
        KeyRing.open(tmp_path / "keys", other)
    (tmp_path / "passphrase").unlink()
    with pytest.raises(Terminal, match="no such file"):
        KeyRing.open(tmp_path / "keys", other, Unlocking(passphrase_file=tmp_path / "passphrase"))


@pytest.mark.parametrize("change", [{"n": 2**40}, {"n": 3}, {"r": 2**20}, {"p": 9}, {"salt": "AA=="}, {"by": "x"}])
def test_a_cost_that_would_fill_memory_is_refused_before_it_is_tried(tmp_path: Path, change: dict[str, object]) -> None:
    KeyRing.create(tmp_path / "keys", LAKE, passphrase(tmp_path))
    content = json.loads(ring_file(tmp_path).read_text())
    content["unlock"] |= change
    ring_file(tmp_path).write_text(json.dumps(content))
    with pytest.raises(Tampered, match="how the ring is unlocked") as caught:
        KeyRing.open(tmp_path / "keys", LAKE, passphrase(tmp_path))
    assert caught.value.part == "ring"


def test_nothing_of_it_is_printed_or_travels(tmp_path: Path) -> None:
    unlocked = Unlocked(new_key(), LAKE)
    assert repr(unlocked) == "Unlocked(***)"
    with pytest.raises(TypeError, match="does not travel"):
        pickle.dumps(unlocked)
    ring = KeyRing.create(tmp_path / "keys", LAKE)
    ring.wrap("bank", "open", new_key(), b"")
    assert repr(ring._file.state()) == "RingState(***)"
    with pytest.raises(TypeError):
        pickle.dumps(ring._file.state())


def test_the_provider_of_a_lake_stays_the_one_it_was_made_with(tmp_path: Path) -> None:
    create_keys(KeyPlace(folder=tmp_path / "keys"), LAKE)
    assert repr(open_keys(KeyPlace(folder=tmp_path / "keys"), LAKE)) == f"KeyRing({LAKE})"
    with pytest.raises(Terminal, match=r"KEDGE_KEYS_PROVIDER.*keys in a key ring"):
        open_keys(KeyPlace(folder=tmp_path / "keys", keeper="aws-kms"), LAKE)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"KEDGE_KEYS_PROVIDER": "vault"}, "local or aws-kms"),
        ({"KEDGE_KEYS_KEY_FILE": "a", "KEDGE_KEYS_PASSPHRASE_FILE": "b"}, "at most one"),
        ({"KEDGE_KEYS_PROVIDER": "aws-kms", "KEDGE_KEYS_KEY_FILE": "a"}, "none with a key service"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, env: dict[str, str], said: str) -> None:
    with pytest.raises(Terminal, match=said):
        KeyPlace.from_environment(tmp_path, env)


def test_settings_name_the_files(tmp_path: Path) -> None:
    place = KeyPlace.from_environment(tmp_path, {"KEDGE_KEYS_PASSPHRASE_FILE": "/run/secrets/kedge"})
    assert place == KeyPlace(folder=tmp_path, passphrase_file=Path("/run/secrets/kedge"))
    assert KeyPlace.from_environment(tmp_path, {"KEDGE_KEYS_PROVIDER": "aws-kms"}).keeper == "aws-kms"


def test_a_key_file_in_a_folder_that_is_read_only_serves_a_new_lake(tmp_path: Path) -> None:
    """As a secret that Kubernetes mounts: nothing can be made beside it."""
    secret, key = tmp_path / "secret", new_key()
    secret.mkdir()
    key_file = written(secret / "unlock", base64.b64encode(new_key()).decode(), 0o400)
    secret.chmod(0o555)

    def make() -> list[str]:
        ring = KeyRing.create(tmp_path / "keys", LAKE, Unlocking(key_file=key_file))
        wrapped = ring.wrap("bank", "open", key, b"")
        assert ring.unwrap("bank", "open", wrapped, b"") == key
        return sorted(path.name for path in secret.iterdir())

    assert without_privileges(make) == ["unlock"]


def test_a_lake_whose_keys_belong_to_somebody_else_says_so(tmp_path: Path) -> None:
    place = KeyPlace(folder=tmp_path / "keys")
    create_keys(place, LAKE)

    def said(unreachable: Path) -> list[str]:
        mode = unreachable.stat().st_mode & 0o777
        unreachable.chmod(0)

        def look() -> list[str]:
            try:
                open_keys(place, LAKE)
            except Terminal as error:
                return [error.setting, error.need]
            return []

        try:
            found: list[str] = without_privileges(look)
        finally:
            unreachable.chmod(mode)
        return found

    for unreachable in (tmp_path / "keys", ring_file(tmp_path).parent, ring_file(tmp_path)):
        assert said(unreachable) == ["KEDGE_KEYS", "leave to read and write"]


def test_killed_writers_of_a_shared_key_file_leave_nothing_and_files_of_others_stay(tmp_path: Path) -> None:
    shared = tmp_path / "apart"
    shared.mkdir()
    others = written(shared / ".tmp-of-somebody", "theirs")
    left = written(shared / ".tmp-00-our.key", "half")
    KeyRing.create(tmp_path / "keys", LAKE, Unlocking(key_file=shared / "our.key"))
    assert others.exists()
    assert not left.exists()


def test_a_full_disk_makes_no_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for point in ("keys.unlock.written", "keys.ring.written"):
        monkeypatch.setenv("KEDGE_FAULT", f"{point}:full")
        with pytest.raises(KedgeError, match="Free some space"):
            KeyRing.create(tmp_path / "keys", LAKE)
    monkeypatch.delenv("KEDGE_FAULT")
    assert not ring_file(tmp_path).exists()
    KeyRing.create(tmp_path / "keys", LAKE)
    assert list(ring_file(tmp_path).parent.glob(".tmp-*")) == []


def test_a_leaked_key_opens_nothing_that_is_sealed_after_a_relock(tmp_path: Path) -> None:
    ring, key = KeyRing.create(tmp_path / "keys", LAKE), new_key()
    wrapped, beside = ring.wrap("bank", "open", key, b""), ring_file(tmp_path).with_name("unlock.key")
    open_elsewhere, leaked = KeyRing.open(tmp_path / "keys", LAKE), beside.read_text()
    before = ring.lock
    ring.relock(Unlocking())
    assert ring.lock != before
    assert sorted(path.name for path in beside.parent.iterdir() if path.suffix != ".lock") == [
        "ring.json",
        "unlock.key",
    ]
    assert beside.stat().st_mode & 0o777 == 0o600
    for opened in (ring, open_elsewhere, KeyRing.open(tmp_path / "keys", LAKE)):
        assert opened.unwrap("bank", "open", wrapped, b"") == key
    thief = Unlocking(key_file=written(tmp_path / "leaked", leaked))
    with pytest.raises(WrongKey):
        KeyRing.open(tmp_path / "keys", LAKE, thief)


def test_a_ring_is_relocked_from_each_way_to_each_other(tmp_path: Path) -> None:
    ring, key = KeyRing.create(tmp_path / "keys", LAKE), new_key()
    wrapped = ring.wrap("bank", "open", key, b"")
    gone = ring.wrap("bank", "restricted", key, b"")["kek"]
    ring.destroy("bank", "restricted", gone)
    files = Unlocking(key_file=tmp_path / "apart" / "a.key"), Unlocking(key_file=tmp_path / "apart" / "b.key")
    ways = [files[0], passphrase(tmp_path), files[1]]
    for present, new in zip([Unlocking(), *ways], ways, strict=False):
        KeyRing.open(tmp_path / "keys", LAKE, present).relock(new)
        opened = KeyRing.open(tmp_path / "keys", LAKE, new)
        assert opened.unwrap("bank", "open", wrapped, b"") == key
        assert [kek.id for kek in opened.keys(None) if kek.destroyed] == [gone]
        with pytest.raises(Terminal):
            KeyRing.open(tmp_path / "keys", LAKE, present)


def test_a_relock_to_the_present_key_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    same = Unlocking(key_file=tmp_path / "our.key")
    ring = KeyRing.create(tmp_path / "keys", LAKE, same)
    before = ring_file(tmp_path).read_bytes()
    copied = Unlocking(key_file=written(tmp_path / "copy.key", (tmp_path / "our.key").read_text()))
    for new in (same, copied):
        with pytest.raises(Terminal, match="the one that unlocks the ring now"):
            ring.relock(new)
    with pytest.raises(Terminal, match="--key-file or --passphrase-file"):
        ring.relock(Unlocking())
    assert ring_file(tmp_path).read_bytes() == before
    spoken = KeyRing.create(tmp_path / "others", LAKE, passphrase(tmp_path))
    with pytest.raises(Terminal, match="the one that unlocks the ring now"):
        spoken.relock(passphrase(tmp_path))


@pytest.mark.parametrize("way", ["Unlocking()", "Unlocking(key_file=Path(sys.argv[2]))"])
@pytest.mark.parametrize("point", [f"keys.{file}.{step}" for file in ("unlock", "ring") for step in durable.REPLACE])
def test_a_relock_killed_anywhere_leaves_a_ring_that_opens_with_a_key_that_is_there(
    tmp_path: Path, way: str, point: str
) -> None:
    ring, key = KeyRing.create(tmp_path / "keys", LAKE), new_key()
    wrapped, before = ring.wrap("bank", "open", key, b""), ring.lock
    code = (
        "import sys; from pathlib import Path; from kedge.keys import KeyRing, Unlocking;"
        f"KeyRing.open(Path(sys.argv[1]), {LAKE!r}).relock({way})"
    )
    named = tmp_path / "our.key"
    words = [sys.executable, "-c", code, str(tmp_path / "keys"), str(named)]
    done = subprocess.run(words, env={**os.environ, "KEDGE_FAULT": f"{point}:kill"}, check=False)
    assert done.returncode == -signal.SIGKILL
    sealed = point in ("keys.ring.renamed", "keys.ring.after")
    opens = Unlocking(key_file=named) if sealed and "argv" in way else Unlocking()
    opened = KeyRing.open(tmp_path / "keys", LAKE, opens)
    assert opened.unwrap("bank", "open", wrapped, b"") == key
    assert (opened.lock != before) == sealed
    left = opened.lock
    opened.relock(Unlocking(key_file=tmp_path / "third.key") if opens.key_file else Unlocking())
    assert opened.lock != left
    assert opened.unwrap("bank", "open", wrapped, b"") == key
    assert not ring_file(tmp_path).with_name("unlock.key.next").exists()
    assert list(ring_file(tmp_path).parent.glob(".tmp-*")) == []


def test_the_next_write_gives_the_new_key_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = KeyRing.create(tmp_path / "keys", LAKE)
    monkeypatch.setenv("KEDGE_FAULT", "keys.ring.after:error")
    with pytest.raises(KedgeError):
        ring.relock(Unlocking())
    monkeypatch.delenv("KEDGE_FAULT")
    upcoming = ring_file(tmp_path).with_name("unlock.key.next")
    assert upcoming.exists()
    ring.rotate("bank", "open")
    assert not upcoming.exists()
    assert KeyRing.open(tmp_path / "keys", LAKE).keys("bank")
