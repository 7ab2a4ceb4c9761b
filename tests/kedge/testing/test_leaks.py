import gzip
import os
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kedge.lake import Draft, Lake, produce
from kedge.outcome import Findings
from kedge.testing.leaks import _PIECE, Hit, search

VALUES = ["zq0123456789ab", "1034.2248193041", "Grüße an Zoë"]


def sqlite(path: Path, cell: object) -> None:
    database = sqlite3.connect(path)
    database.execute("create table t (x)")
    database.execute("insert into t values (?)", [cell])
    database.commit()
    database.close()


def archive(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inside.txt", text)


LEAKS: dict[str, tuple[Callable[[Path, str], object], str]] = {
    "utf-8": (lambda path, value: path.write_text(f"x{value}y", encoding="utf-8"), "utf-8"),
    "capitals": (lambda path, value: path.write_text(f"x{value.upper()}y", encoding="utf-8"), "utf-8"),
    "binary around": (lambda path, value: path.write_bytes(os.urandom(99) + value.encode() + os.urandom(9)), "utf-8"),
    "utf-16": (lambda path, value: path.write_text(value, encoding="utf-16"), "utf-16"),
    "gzip": (lambda path, value: path.write_bytes(gzip.compress(value.encode())), "utf-8 in gzip"),
    "zip": (archive, "utf-8 in zip"),
    "sqlite": (sqlite, "utf-8 in sqlite"),
    "deflated cell": (lambda path, value: sqlite(path, zlib.compress(value.encode())), "utf-8 in sqlite"),
    "parquet": (lambda path, value: pl.DataFrame({"a": [[value]]}).write_parquet(path), "utf-8 in parquet"),
    "arrow": (lambda path, value: pl.DataFrame({"a": [value]}).write_ipc(path, compression="zstd"), "utf-8 in arrow"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_planted_leaks_are_found(tmp_path: Path, leak: str):
    write, form = LEAKS[leak]
    path = tmp_path / "deep" / "leak.bin"
    path.parent.mkdir()
    write(path, VALUES[0])
    assert Hit(path, 0, form) in search(VALUES, tmp_path)


def test_floats_in_binary(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.array([1.0, float(VALUES[1])]))
    assert search(VALUES, tmp_path) == [Hit(tmp_path / "a.npy", 1, "float64")]
    assert search([VALUES[1]], tmp_path / "a.npy")[0].index == 0
    assert struct.pack("<d", float(VALUES[1])) in (tmp_path / "a.npy").read_bytes()


def test_escaped_letters(tmp_path: Path):
    (tmp_path / "a.json").write_text(r'{"note": "Gr\xfc\xdfe an Zo\xeb"}')
    (tmp_path / "b.json").write_text(r'{"note": "Gr\u00fc\u00dfe an Zo\u00eb"}')
    assert {(hit.path.name, hit.index) for hit in search(VALUES, tmp_path)} == {("a.json", 2), ("b.json", 2)}


def test_values_across_the_border_of_two_pieces(tmp_path: Path):
    (tmp_path / "big").write_bytes(b"\0" * (_PIECE - 5) + VALUES[0].encode() + b"\0" * 100)
    assert search(VALUES, tmp_path) == [Hit(tmp_path / "big", 0, "utf-8")]


def test_short_values_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="at least 6 bytes"):
        search(["abc"], tmp_path)


def test_the_encrypted_lake_shows_nothing(tmp_path: Path):
    lake = Lake.open(tmp_path / "lake", tmp_path / "keys")

    def write(draft: Draft) -> Findings:
        draft.write_frame(pl.DataFrame({"text": VALUES, "number": [float(VALUES[1])] * 3}))
        draft.write_bytes(VALUES[0].encode(), "note.txt")
        return Findings()

    version = produce(lake.dataset("open", "bank", "model"), "all", inputs={}, declared={}, code=1, write=write).version
    assert version.scan().collect()["text"].to_list() == VALUES
    assert search(VALUES, tmp_path) == []
