"""Files whose rows say which day they belong to (`source.date_column`).

A row without a date that can be read belongs to no day: it is counted and reported with every night that is taken,
and from `quarantine_at_most` on the files are refused, for then the format of the dates is another one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from kedge.errors import Terminal, Transient
from kedge.lake import ROW, Outcome
from kedge.moment import local, moment
from kedge.outcome import Check, Findings
from kedge.source import calendar
from kedge.source.checks import DATED, described
from kedge.source.delivery import Together, check_day
from kedge.source.file import source_manifest
from kedge.source.inbox import checked, identity
from kedge.source.intake import Intake
from kedge.spec.canonical import canonical

_DAY = ".day"  # no declared name can hold a dot
_DIGESTED_ROWS = 65_536  # at a time: a digest is made of text, which takes more than the rows


@dataclass(kw_only=True)
class Undated:
    """How many rows were read, and how many of them belong to no day."""

    num_rows: int = 0
    num_undated: int = 0

    @property
    def share(self) -> float:
        return self.num_undated / self.num_rows if self.num_rows else 0.0

    def check(self) -> Check:
        facts = {"rows_in_files": self.num_rows, "rows_without_date": self.num_undated}
        return Check(
            name=DATED, passed=not self.num_undated, blocking=False, facts=facts, description=described()[DATED]
        )


@dataclass(kw_only=True)
class DayDigest:
    """Keyed digest of a day's rows in their order; the same for all ways of cutting them into batches, and in whatever
    order the columns come: a file that is added and becomes the first by name leaves other days as they are."""

    key: bytes
    columns: Sequence[str]
    hash: "hashlib.blake2b" = field(init=False)

    def __post_init__(self) -> None:
        self.columns = sorted(self.columns)
        self.hash = hashlib.blake2b(canonical(self.columns), key=self.key, digest_size=32)

    def update(self, rows: pl.DataFrame) -> None:
        text = rows.select(self.columns).write_csv(include_header=False, quote_style="always", null_value="\x00")
        self.hash.update(text.encode())


def take_day(intake: Intake, paths: Sequence[Path]) -> Outcome:
    """Take the rows of one day in; when the files hold none and its day is in the lake, the lake answers.

    Raises:
        Terminal: no row is of that day, too many belong to none, or the files are not what the source says.
        Transient: a file changes while it is read.
    """
    day = calendar.day(intake.declaration, intake.partition)
    undated, kept = Undated(), list[pl.DataFrame]()
    together = _together(intake, paths)
    num_rows = 0
    for frame in _by_day(intake, paths, together, undated):
        kept.append(frame.filter(pl.col(_DAY) == day).drop(_DAY))
        num_rows += kept[-1].height
        check_day(together.parts, num_rows)
    rows = pl.concat(kept).with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(ROW))
    if rows.is_empty():
        return _nothing(intake, undated, len(paths))
    digest = DayDigest(key=intake.key, columns=together.columns)
    for frame in rows.iter_slices(_DIGESTED_ROWS):
        digest.update(frame)
    facts = {"files": len(paths), "rows_without_date": undated.num_undated}
    findings = Findings(checks=(undated.check(),), facts=facts)
    return intake.store(rows.lazy(), digest.hash.hexdigest(), lambda: findings)


def days(intake: Intake, paths: Sequence[Path]) -> tuple[dict[str, str], Undated]:
    """Keyed digest of the rows of every day that the files hold, and how many rows belong to none; flat memory.

    Raises: as `take_day`, but for a day without rows.
    """
    undated, found = Undated(), dict[str, DayDigest]()
    together = _together(intake, paths)
    for frame in _by_day(intake, paths, together, undated):
        dated = frame.drop_nulls(_DAY)
        for (day,), rows in dated.partition_by(_DAY, as_dict=True, maintain_order=True).items():
            if str(day) not in found:
                found[str(day)] = DayDigest(key=intake.key, columns=together.columns)
            found[str(day)].update(rows)
    return {day: digest.hash.hexdigest() for day, digest in sorted(found.items())}, undated


def day_of(column: str, kind: str, timezone: str) -> pl.Expr:
    """The calendar day that a text says; null if it says none.

    Args:
        kind: `date`, or `datetime`, of which one with an offset is moved to `timezone`; others are local already.
    """
    cell = pl.col(column)
    if kind == "date":
        return cell.str.to_date("%Y-%m-%d", strict=False)
    return pl.coalesce(local(cell).dt.date(), moment(cell).dt.convert_time_zone(timezone).dt.date())


def _together(intake: Intake, paths: Sequence[Path]) -> Together:
    for path in paths:
        if source_manifest(path) is not None:
            checked(path, b"")
    together = Together.of(intake, {path.name: intake.delivery(path) for path in paths})
    column = str(intake.source.date_column)
    if column not in together.columns:
        need, remedy = f"the column {column}, which source.date_column names", "Correct one of the two."
        raise Terminal(paths[0].name, need=need, got=f"{len(together.columns)} others", remedy=remedy)
    return together


def _by_day(intake: Intake, paths: Sequence[Path], together: Together, undated: Undated) -> Iterator[pl.DataFrame]:
    """All rows with their day; counts into `undated`, and judges it at the end."""
    declaration, column = intake.declaration, str(intake.source.date_column)
    day = day_of(column, declaration.columns[column].type, declaration.partitions.timezone).alias(_DAY)
    before = {path: identity(path) for path in paths}
    for frame in together.batches():
        dated = frame.with_columns(day)
        undated.num_rows += dated.height
        undated.num_undated += dated[_DAY].null_count()
        yield dated
    for path in paths:
        if before[path] != identity(path):
            need, got = "a file that rests", "another one than a moment ago"
            raise Transient(path.name, need=need, got=got, remedy="Run it again later.")
    if undated.share > declaration.quarantine_at_most:
        form = "2026-01-31" if declaration.columns[column].type == "date" else "2026-01-31T23:59"
        raise Terminal(
            paths[0].name if len(paths) == 1 else str(intake.source.files),
            need=f"dates such as {form} in {column}, in all rows but {declaration.quarantine_at_most:.0%}",
            got=f"{undated.num_undated} of {undated.num_rows} rows without one, which belong to no day",
            remedy="Ask the sender for dates in that form, or take another date_column.",
        )


def _nothing(intake: Intake, undated: Undated, num_files: int) -> Outcome:
    current = intake.current
    if current is not None:  # the files have gone on; what was delivered once stays delivered
        return Outcome(version=current, written=False)
    raise Terminal(
        str(intake.source.files),
        need=f"rows of {intake.partition} in {intake.source.date_column}",
        got=f"none among {undated.num_rows} rows of {num_files} files",
        remedy="Ask for a day that the files hold, or wait for the sender.",
    )
