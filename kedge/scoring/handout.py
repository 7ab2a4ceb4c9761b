"""Predictions for the business: a file outside the lake, in plaintext, that somebody asked for."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import polars as pl

from kedge import durable, faults
from kedge.errors import Conflict, Terminal
from kedge.lake import Version, join_rows
from kedge.scoring.night import SCORE
from kedge.spec import Declaration
from kedge.workspace import Workspace

faults.register("scoring.handout", steps=("before", "opened", "written", "after"))

FORMULA = r"^[=+\-@\t\r\n\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]"
"""A spreadsheet runs a text that starts so, or with the wide forms of = + - @ (OWASP, CSV injection). Numbers are no
texts: a negative one stays a number."""


def hand_out(ws: Workspace, declaration: Declaration, partition: str, out: Path) -> int:
    """Write a night's predictions of everybody to `out`, one row per validated row, in the order of the delivery.

    The subject's own identifier and the score; without a subject, all validated columns and the score, for nothing
    else says which row is meant. `_row` never leaves the lake.

    Args:
        out: ends in `.csv` or `.parquet`; replaced in one step, readable by its owner only. In CSV a text that a
            spreadsheet would run as a formula gets a leading apostrophe.

    Returns:
        number of rows.

    Raises:
        Terminal: the night was not scored, another suffix, or a place inside `KEDGE_HOME`.
    """
    _check_place(ws, out)
    remedy = f"Run the night: kedge run {declaration.name} --partition {partition}."
    scored = ws.dataset(declaration.name, "predictions_restricted").require(partition, remedy)
    rows = _rows(ws, declaration, scored)
    place = {"zone": scored.dataset.zone, "dataset": scored.dataset.name, "partition": partition, "version": scored.id}
    facts = {**place, "rows": len(rows), "suffix": out.suffix}
    with (
        ws.trail.change(declaration.name, "hand_out", config=declaration.digest, **facts) as outcome,
        durable.storage(str(out)),
        _draft(out) as (path, file),
    ):
        faults.reach("scoring.handout.opened")
        _write(rows, file, out.suffix)
        file.flush()
        durable.sync_file(path)
        faults.reach("scoring.handout.written")
        path.replace(out)
        outcome["result"] = "done"
        faults.reach("scoring.handout.after")
    return len(rows)


@contextmanager
def _draft(out: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A hidden file beside `out` that only this user may read; what a killed process left under its name goes.

    Its writer holds a lock on it, so that others see whether that one still lives.
    """
    path = out.with_name(f".{out.name}.part")
    faults.reach("scoring.handout.before")
    with suppress(FileNotFoundError):
        _remove_dead(path)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield path, file
        finally:
            path.unlink(missing_ok=True)


def _remove_dead(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle) as left:
        try:
            fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            need, got = "nobody else to write this file", "another process that writes it"
            raise Conflict("--out", need=need, got=got, remedy="Wait for it, or name another file.") from None
        path.unlink()


def _rows(ws: Workspace, declaration: Declaration, scored: Version) -> pl.DataFrame:
    if declaration.subject is not None:
        return scored.scan().select(declaration.subject, SCORE).collect()
    validated = ws.dataset(declaration.name, "validated").version(scored.partition, scored.manifest.inputs["validated"])
    return join_rows(validated, scored).select(*declaration.delivery.columns, SCORE).collect()


def _write(rows: pl.DataFrame, file: BinaryIO, suffix: str) -> None:
    if suffix == ".parquet":
        rows.write_parquet(file)
        return
    texts = pl.col(pl.String)
    rows.with_columns(pl.when(texts.str.contains(FORMULA)).then("'" + texts).otherwise(texts).name.keep()).write_csv(
        file
    )


def _check_place(ws: Workspace, out: Path) -> None:
    if out.suffix not in (".csv", ".parquet"):
        raise Terminal("--out", need="a file that ends in .csv or .parquet", got=repr(out.suffix), remedy="Rename it.")
    if out.resolve().is_relative_to(ws.settings.home.resolve()):
        need, got = "a place outside KEDGE_HOME, where nothing personal is in plaintext", "one inside it"
        raise Terminal("--out", need=need, got=got, remedy="Choose another folder.")
    if not out.absolute().parent.is_dir():
        raise Terminal("--out", need="a folder that exists", got="none", remedy="Make the folder first.")
