"""What somebody can do to stored bytes, and what the reader is told."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from kedge.errors import KedgeError, Tampered, Terminal
from kedge.keys import KeyGone, KeyRing
from kedge.lake import Dataset, Lake, Outcome, Version
from kedge.lake.pointer import read_pointer, swap

Store = Callable[..., Outcome]
DAY, NEXT = "2026-01-01", "2026-01-02"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def plaintext(victim: Path, _other: Path) -> None:
    pl.DataFrame({"_row": [1]}).write_parquet(victim / "rows.parquet")


def altered(victim: Path, _other: Path) -> None:
    flip(victim / "rows.parquet", 100)


def magic(victim: Path, _other: Path) -> None:
    flip(victim / "rows.parquet", 0)


def truncated(victim: Path, _other: Path) -> None:
    path = victim / "rows.parquet"
    path.write_bytes(path.read_bytes()[:-10])


def longer(victim: Path, _other: Path) -> None:
    path = victim / "rows.parquet"
    path.write_bytes(path.read_bytes() + b"x")


def missing(victim: Path, _other: Path) -> None:
    (victim / "rows.parquet").unlink()


def link(victim: Path, other: Path) -> None:
    (victim / "rows.parquet").unlink()
    (victim / "rows.parquet").symlink_to(other / "rows.parquet")


def swapped(victim: Path, other: Path) -> None:
    shutil.copy(other / "rows.parquet", victim / "rows.parquet")


def swapped_version(victim: Path, other: Path) -> None:
    shutil.copytree(other, victim, dirs_exist_ok=True)


def swapped_keys(victim: Path, other: Path) -> None:
    shutil.copy(other / "keys.json", victim / "keys.json")


def no_keys(victim: Path, _other: Path) -> None:
    (victim / "keys.json").unlink()


def empty_keys(victim: Path, _other: Path) -> None:
    (victim / "keys.json").write_text('{"keys": {}}')


def edited_manifest(victim: Path, _other: Path) -> None:
    path = victim / "manifest.json"
    path.write_text(path.read_text().replace('"released": true', '"released": false'))


def edited_rows(victim: Path, _other: Path) -> None:
    path = victim / "manifest.json"
    path.write_text(path.read_text().replace('"rows": 1000', '"rows": 1001'))


def unsealed(victim: Path, _other: Path) -> None:
    path = victim / "manifest.json"
    body = json.loads(path.read_text())
    del body["seal"]
    path.write_text(json.dumps(body))


def no_manifest(victim: Path, _other: Path) -> None:
    (victim / "manifest.json").unlink()


TABLE = [
    (plaintext, "a plaintext Parquet file"),
    (altered, "got altered bytes"),
    (magic, "a plaintext file, or one that kedge did not write"),
    (truncated, "a truncated file"),
    (longer, "altered bytes: 1 more"),
    (missing, "rows.parquet: .* no such file"),
    (link, "a link"),
    (swapped, "a swapped file: the bytes of restricted/bank/raw/2026-01-02/v"),
    (swapped_version, "a swapped version"),
    (swapped_keys, "wrapped key of .* a wrong key"),
    (no_keys, "keys.json: .* the keys were destroyed"),
    (empty_keys, "keys.json: .* no such key"),
    (edited_manifest, "a manifest that was edited"),
    (edited_rows, "a manifest that was edited"),
    (unsealed, "no sealed manifest"),
    (no_manifest, "manifest.json: .* no such file"),
]


@pytest.mark.parametrize(("attack", "message"), TABLE, ids=[attack.__name__ for attack, _ in TABLE])
def test_what_was_done_is_told_and_nothing_is_read(
    raw: Dataset, store: Store, attack: Callable[[Path, Path], None], message: str
) -> None:
    victim, other = store(raw, DAY).version, store(raw, NEXT).version
    attack(victim.path, other.path)
    again = Version(raw, DAY, victim.id)
    for read in (again.scan, again.batches, again.file_keys, again.check_whole):
        with pytest.raises(Tampered, match=message):
            read()
    assert not again.is_whole()
    other.check_whole()


def test_after_any_attack_a_rerun_heals(raw: Dataset, store: Store) -> None:
    other = store(raw, NEXT).version
    for attack, _ in TABLE:
        outcome = store(raw, DAY)
        attack(outcome.version.path, other.path)
        healed = store(raw, DAY)
        assert healed.written, attack.__name__
        healed.version.check_whole()
    assert other.is_whole()


def test_a_report_is_guarded_too(raw: Dataset, store: Store) -> None:
    version = store(raw).version
    (version.path / "report.html").write_bytes(b"<html>")
    with pytest.raises(Tampered, match="truncated"):
        version.read_bytes("report.html")
    (version.path / "report.html").write_bytes(b"<html>" * 100)
    with pytest.raises(Tampered, match="plaintext"):
        version.read_bytes("report.html")


def test_pointing_at_a_version_that_was_never_released_is_noticed(raw: Dataset, store: Store) -> None:
    store(raw, delivery="d1")
    bad = store(raw, delivery="d2", passed=False).version
    swap(bad, read_pointer(raw, DAY))
    with pytest.raises(Tampered, match="passed its blocking checks"):
        raw.current(DAY)


def test_an_edited_pointer_and_one_of_another_place_are_refused(raw: Dataset, store: Store) -> None:
    first, second = store(raw, delivery="d1").version, store(raw, delivery="d2").version
    pointer = first.path.parent / "current.json"
    written = pointer.read_text()
    pointer.write_text(written.replace(second.id, first.id))
    with pytest.raises(Tampered, match="one that was edited"):
        raw.current(DAY)
    pointer.write_text(written)
    store(raw, NEXT)
    (raw.path / NEXT / "current.json").write_text(written)
    with pytest.raises(Tampered, match=f"{NEXT}/current.*written at another place") as caught:
        raw.current(NEXT)
    assert caught.value.part == "pointer"
    assert raw.current(DAY) == second


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": "v"}'])
def test_a_damaged_pointer_is_named(raw: Dataset, store: Store, content: str) -> None:
    (store(raw).version.path.parent / "current.json").write_text(content)
    with pytest.raises(Tampered, match=r"current\.json"):
        raw.current(DAY)


def test_a_destroyed_key_is_no_tampering(tmp_path: Path, raw: Dataset, store: Store) -> None:
    version = store(raw).version
    ring = KeyRing.open(tmp_path / "keys", raw.lake.id)
    old = [kek.id for kek in ring.keys("bank") if kek.zone == "restricted"]
    ring.rotate("bank", "restricted")
    for kek in old:
        ring.destroy("bank", "restricted", kek)
    with pytest.raises(KeyGone, match="destroyed") as caught:
        version.scan()
    assert not isinstance(caught.value, Tampered)


def test_a_key_of_the_same_name_but_other_bits_is_an_edited_ring(tmp_path: Path, raw: Dataset, store: Store) -> None:
    version = store(raw).version
    ring = next((tmp_path / "keys").glob("*/ring.json"))
    content = json.loads(ring.read_text())
    for kek in content["keys"]["bank/restricted"]["keys"].values():
        kek["sealed"] = "00" * 60
    ring.write_text(json.dumps(content))
    with pytest.raises(Tampered, match="edited") as caught:
        version.scan()
    assert caught.value.part == "ring"


def test_the_lake_without_its_ring_is_an_error_not_a_new_ring(tmp_path: Path, raw: Dataset, store: Store) -> None:
    store(raw)
    with pytest.raises(Terminal, match="KEDGE_KEYS"):
        Lake.open(tmp_path / "home" / "lake", tmp_path / "other-keys")
    assert not (tmp_path / "other-keys").exists()


def test_messages_hold_no_value(raw: Dataset, store: Store) -> None:
    version = store(raw).version
    altered(version.path, version.path)
    with pytest.raises(KedgeError) as caught:
        version.scan()
    assert "Person" not in str(caught.value)
    assert caught.value.__context__ is None
