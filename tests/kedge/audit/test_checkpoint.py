"""Checkpoints: the form of C2SP, a published key and signature, and what is refused."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kedge.audit.checkpoint import (
    Checkpoint,
    add,
    note,
    parse_signed,
    parse_verifier_key,
    read_all,
    read_last,
    verifier_key,
)
from kedge.audit.signer import Signer
from kedge.errors import Tampered

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
"""From the documentation of golang.org/x/mod/sumdb/note."""


@pytest.fixture
def signer() -> Signer:
    return Signer("kedge/lake1/bank", bytes(range(32)))


def point(size: int) -> Checkpoint:
    return Checkpoint("kedge/lake1/bank", size, bytes([size % 256]) * 32)


def signed(signer: Signer, checkpoint: Checkpoint) -> str:
    return note(checkpoint, signer.vkey, signer.sign(checkpoint.text().encode()))


def yes(_: Checkpoint) -> bool:
    return True


def test_key_and_key_id_are_those_of_gos_notes() -> None:
    name, public = parse_verifier_key(GO_KEY)
    assert (name, verifier_key(name, public)) == ("PeterNeumann", GO_KEY)
    signature = base64.b64decode(GO_SIGNATURE)
    assert signature[:4].hex() == "c74f20a3"
    Ed25519PublicKey.from_public_bytes(public).verify(signature[4:], GO_TEXT)


def test_a_note_reads_as_c2sp_asks_for(signer: Signer) -> None:
    lines = signed(signer, point(7)).split("\n")
    assert lines[:4] == ["kedge/lake1/bank", "7", base64.b64encode(bytes([7]) * 32).decode(), ""]
    assert lines[4].startswith("\u2014 kedge/lake1/bank ")
    assert len(base64.b64decode(lines[4].rpartition(" ")[2])) == 4 + 64
    assert lines[5:] == [""]
    assert parse_signed("\n".join(lines), signer.vkey) == point(7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n8\n"),
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n-7\n"),
        ("kedge/lake1/bank\n7", "kedge/lake2/bank\n7"),
        ("\u2014 kedge/lake1/bank", "\u2014 kedge/lake1/other"),
        ("\n\n", "\n"),
        ("BwcH", "BwcI"),
        ("cHBwc=", "cHBwd="),
        ("\u2014 ", "- "),
    ],
)
def test_an_altered_note_is_refused(signer: Signer, old: str, new: str) -> None:
    text = signed(signer, point(7))
    assert old in text
    with pytest.raises(Tampered) as raised:
        parse_signed(text.replace(old, new, 1), signer.vkey)
    assert raised.value.part == "checkpoint"


def test_a_note_of_another_key_is_refused(signer: Signer) -> None:
    other = Signer("kedge/lake1/bank", bytes(32))
    with pytest.raises(Tampered, match="signature"):
        parse_signed(signed(other, point(7)), signer.vkey)


@pytest.mark.parametrize("vkey", ["", "a", "a+b", "a+00000000+AAAA", GO_KEY.replace("c74f", "c74e"), GO_KEY[:-4] + "!"])
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    with pytest.raises(Tampered, match="verifier key"):
        parse_verifier_key(vkey)


def test_the_file_holds_all_and_the_last_is_found_at_its_end(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    assert read_all(path, signer.vkey) == []
    for size in range(1, 40):
        assert add(path, point(size), signer, yes) == point(size)
    assert read_all(path, signer.vkey) == [point(size) for size in range(1, 40)]
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("rb") as file:
        assert read_last(file, signer.vkey) == (point(39), path.stat().st_size)


def test_a_smaller_one_is_not_added(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    add(path, point(5), signer, yes)
    assert add(path, point(4), signer, yes) == point(5)
    assert add(path, point(5), signer, yes) == point(5)
    assert read_all(path, signer.vkey) == [point(5)]


def test_one_that_the_log_does_not_give_stops_it(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    add(path, point(5), signer, yes)
    with pytest.raises(Tampered, match="another root"):
        add(path, point(6), signer, lambda last: last != point(5))
    assert read_all(path, signer.vkey) == [point(5)]


def test_one_that_was_not_finished_is_none_and_makes_room(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    add(path, point(5), signer, yes)
    whole = path.read_bytes()
    later = f"{signed(signer, point(6))}\n".encode()
    for length in range(len(later)):
        path.write_bytes(whole + later[:length])
        assert read_all(path, signer.vkey) == [point(5)], length
        add(path, point(7), signer, yes)
        assert read_all(path, signer.vkey) == [point(5), point(7)]


@pytest.mark.parametrize("count", [1, 30])
def test_an_altered_last_one_is_not_taken_as_unfinished(signer: Signer, tmp_path: Path, count: int) -> None:
    path = tmp_path / "checkpoints"
    for size in range(count):
        add(path, point(size + 1), signer, yes)
    whole = path.read_bytes()
    start = whole.rfind(b"kedge/lake1/bank\n")
    for place in range(start, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if whole[place : place + 1] == b"\n":  # the note looks unfinished, as after a power cut
            assert len(read_all(path, signer.vkey)) == count - 1
            continue
        with pytest.raises(Tampered):
            read_all(path, signer.vkey)


def test_sizes_grow(signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    path.write_text("".join(f"{signed(signer, point(size))}\n" for size in (5, 7, 6)))
    with pytest.raises(Tampered, match="sizes that grow"):
        read_all(path, signer.vkey)


def test_a_full_disk_leaves_it_as_it_was(signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints"
    add(path, point(5), signer, yes)
    whole = path.read_bytes()
    monkeypatch.setitem(os.environ, "KEDGE_FAULT", "audit.sign.written:full")
    with pytest.raises(OSError, match="No space"):
        add(path, point(6), signer, yes)
    assert path.read_bytes() == whole
