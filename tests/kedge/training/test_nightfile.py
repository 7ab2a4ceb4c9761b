from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kedge.errors import Tampered
from kedge.lake import ROWS, Draft, produce
from kedge.outcome import Findings
from kedge.training.nightfile import read
from kedge.training.task import LabelFile, Night


def packed(*positions: int) -> bytes:
    bits = np.zeros(max(positions) + 1, bool)
    bits[list(positions)] = True
    return np.packbits(bits, bitorder="little").tobytes()


@pytest.fixture
def night(bank: Callable[..., Any], customers: Callable[..., pl.DataFrame]) -> Night:
    """Rows at the positions 5 to 104, of which three train and one decides."""
    frame = customers(100).with_columns(pl.col("_row") + 5)
    (file,) = bank().night(0, frame).version.file_keys([ROWS])
    masks = {"train": packed(5, 7, 90), "validation": packed(80)}
    return Night(path=file.path, key=file.key, aad=file.aad.decode(), **masks)


def test_only_chosen_rows_and_columns_are_kept(night: Night, customers: Callable[..., pl.DataFrame]) -> None:
    rows, validation = read(night, ["balance", "plan"])
    expected = customers(100)[[0, 2, 75, 85]]
    assert rows.column_names == ["balance", "plan"]
    assert rows.column("balance").to_pylist() == expected["balance"].to_list()
    assert validation.tolist() == [False, False, True, False]


def test_another_key_or_place_does_not_open_it(night: Night) -> None:
    for wrong in (replace(night, key=bytes(32)), replace(night, aad="open/bank/anonymized/2026-01-02/x/rows.parquet")):
        with pytest.raises(Tampered, match="bytes that its key does not open"):
            read(wrong, ["balance"])


def test_a_plaintext_file_is_refused(night: Night, tmp_path: Path) -> None:
    pl.DataFrame({"_row": [5], "balance": [1.0]}).write_parquet(tmp_path / "plain.parquet")
    with pytest.raises(Tampered):
        read(replace(night, path=tmp_path / "plain.parquet"), ["balance"])


def test_a_cut_file_is_refused(night: Night, tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(night.path.read_bytes()[:-20])
    with pytest.raises(Tampered):
        read(replace(night, path=tmp_path / "cut.parquet"), ["balance"])


@pytest.fixture
def labelled(night: Night, bank: Callable[..., Any]) -> Callable[..., Night]:
    """The night with outcomes from a file of their own, by position."""

    def make(outcomes: dict[int, bool]) -> Night:
        def write(draft: Draft) -> Findings:
            rows = pl.Series("_row", list(outcomes), dtype=pl.UInt64)
            late = pl.Series("late", list(outcomes.values()), dtype=pl.Boolean)
            draft.write_frame(pl.DataFrame([rows, late]))
            return Findings()

        dataset = bank().ws.dataset("bank", "labels")
        stored = produce(dataset, "2026-01-01", inputs={"n": str(len(outcomes))}, declared={}, code=1, write=write)
        (file,) = stored.version.file_keys([ROWS])
        return replace(night, labels=LabelFile(file.path, file.key, file.aad.decode(), ("late",)))

    return make


def test_labels_of_another_file_stand_beside_their_rows(labelled: Callable[..., Night]) -> None:
    rows, validation = read(labelled({90: True, 5: False, 6: True, 104: True, 80: True}), ["late", "balance"])
    assert rows.column_names == ["late", "balance"]
    assert rows.column("late").to_pylist() == [False, None, True, True]
    assert validation.tolist() == [False, False, True, False]


def test_a_night_without_any_label_misses_them(labelled: Callable[..., Night]) -> None:
    rows, _ = read(labelled({}), ["late"])
    assert rows.column("late").to_pylist() == [None] * 4


def test_another_key_does_not_open_the_labels(labelled: Callable[..., Night]) -> None:
    night = labelled({5: True})
    assert night.labels is not None
    with pytest.raises(Tampered, match="restricted/bank/labels"):
        read(replace(night, labels=replace(night.labels, key=bytes(32))), ["late"])
