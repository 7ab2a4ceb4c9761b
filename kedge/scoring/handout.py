"""Predictions for the business: a file outside the lake, in plaintext, that somebody asked for."""

import os
from pathlib import Path

import polars as pl

from kedge import durable
from kedge.errors import Terminal
from kedge.lake import Version, join_rows
from kedge.scoring.night import SCORE
from kedge.spec import Declaration
from kedge.workspace import Workspace

FORMULA = r"^[=+\-@\t\r]"
"""A spreadsheet runs a cell that starts so (OWASP, CSV injection)."""


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
    draft = out.with_name(f".{out.name}.{os.getpid()}{out.suffix}")
    with durable.storage(str(out)):
        try:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
            _write(rows, draft)
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)
    return len(rows)


def _rows(ws: Workspace, declaration: Declaration, scored: Version) -> pl.DataFrame:
    if declaration.subject is not None:
        return scored.scan().select(declaration.subject, SCORE).collect()
    validated = ws.dataset(declaration.name, "validated").version(scored.partition, scored.manifest.inputs["validated"])
    return join_rows(validated, scored).select(*declaration.columns, SCORE).collect()


def _write(rows: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        rows.write_parquet(path)
        return
    texts = pl.col(pl.String)
    rows.with_columns(pl.when(texts.str.contains(FORMULA)).then("'" + texts).otherwise(texts).name.keep()).write_csv(
        path
    )


def _check_place(ws: Workspace, out: Path) -> None:
    if out.suffix not in (".csv", ".parquet"):
        raise Terminal("--out", need="a file that ends in .csv or .parquet", got=repr(out.suffix), remedy="Rename it.")
    if out.resolve().is_relative_to(ws.settings.home.resolve()):
        need, got = "a place outside KEDGE_HOME, where nothing personal is in plaintext", "one inside it"
        raise Terminal("--out", need=need, got=got, remedy="Choose another folder.")
    if not out.absolute().parent.is_dir():
        raise Terminal("--out", need="a folder that exists", got="none", remedy="Make the folder first.")
