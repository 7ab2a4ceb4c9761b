"""A delivery of several files: their rows one after the other, in order of the files' names, `_row` counting through.

A file that kedge has deleted or archived after it was taken stays part of its day: its rows come from the lake. So a
file that arrives later is added to the others, and a run that was killed while it tidied up ends where it would have.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from kedge.errors import Terminal
from kedge.lake import ROW, Outcome, Version
from kedge.outcome import Findings
from kedge.source import limits
from kedge.source.inbox import checked, identity, tidy
from kedge.source.intake import CODE_VERSION, Intake
from kedge.spec.canonical import canonical, digest

_NAMES_SHOWN = 10


class Part(Protocol):
    """Rows of one file, wherever they are."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    def batches(self) -> Iterator[pl.DataFrame]: ...


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Rows of a file that is in the lake and nowhere else any more."""

    version: Version
    positions: range

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.version.manifest.schema if name != ROW)

    def batches(self) -> Iterator[pl.DataFrame]:
        inside = pl.col(ROW).is_between(self.positions.start, self.positions.stop, closed="left")
        for frame in self.version.batches():
            yield frame.filter(inside)


@dataclass(kw_only=True)
class Together:
    """Several files as one delivery, read as often as asked, in constant memory.

    Attributes:
        parts: by name, in the order in which their rows follow each other.
        optional: whether a part may lack columns, which are then missing in its rows: keys of JSON may be left out.
        columns: of all parts; the first one says in which order.
        num_rows: of each part, once it was read.
    """

    parts: Mapping[str, Part]
    optional: bool
    columns: tuple[str, ...] = field(init=False)
    num_rows: dict[str, int] = field(init=False, default_factory=dict)

    @classmethod
    def of(cls, intake: Intake, parts: Mapping[str, Part]) -> "Together":
        """Files of a source, in order of name."""
        optional = all(intake.source.format_of(name) == "jsonl" for name in parts)
        return cls(parts=dict(sorted(parts.items())), optional=optional)

    def __post_init__(self) -> None:
        (first, part), *others = self.parts.items()
        self.columns = part.columns
        for name, other in others:
            if self.optional:
                self.columns += tuple(column for column in other.columns if column not in self.columns)
            elif set(other.columns) != set(self.columns):
                raise _other_columns(name, other.columns, first, self.columns)

    def scan(self) -> pl.LazyFrame:
        """All rows, lazily; the files are read anew by each collection.

        Raises (when collected):
            Terminal: they are more than a day may have; else what `kedge.source.read.Delivery` raises.
        """
        from polars.io.plugins import register_io_source

        def produce(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            for frame in self.batches():
                check_day(self.parts, frame[ROW][-1] + 1 if frame.height else 0)
                frame = frame if predicate is None else frame.filter(predicate)
                yield frame if with_columns is None else frame.select(with_columns)

        schema = pl.Schema(dict.fromkeys(self.columns, pl.String()) | {ROW: pl.UInt64()})
        return register_io_source(produce, schema=schema)

    def batches(self) -> Iterator[pl.DataFrame]:
        """All rows in order; at least one frame, possibly without rows."""
        start = 0
        for name, part in self.parts.items():
            absent = [pl.lit(None, pl.String).alias(column) for column in self.columns if column not in part.columns]
            rows = 0
            for frame in part.batches():
                place = pl.int_range(start + rows, start + rows + frame.height, dtype=pl.UInt64)
                yield frame.with_columns(absent).select(*self.columns, place.alias(ROW))
                rows += frame.height
            self.num_rows[name] = rows
            start += rows


def take_together(intake: Intake, paths: Sequence[Path]) -> Outcome:
    """Take all files of a day in.

    Raises:
        Terminal: a file is not what its manifest or the source says, or has other columns than the first.
        Transient: a file changes while it is read.
    """
    before = {path: identity(path) for path in paths}
    found = {path: checked(path, intake.key) for path in paths}
    keyed = {path.name: print_.keyed for path, print_ in found.items()}
    gone = _gone(intake, keyed)
    parts: dict[str, Part] = {path.name: intake.delivery(path, found[path].keyed) for path in paths}
    together = Together.of(intake, parts | _stored(intake, gone))

    def findings() -> Findings:
        digests = keyed | gone
        files = [{"name": name, "keyed": digests[name], "rows": rows} for name, rows in together.num_rows.items()]
        facts = {"files": len(files), "file_bytes": sum(print_.bytes for print_ in found.values())}
        return Findings(facts=facts | ({"files_from_the_lake": len(gone)} if gone else {}), notes={"files": files})

    outcome = intake.store(together.scan(), _combined(intake.key, keyed | gone), findings)
    for path in paths:
        if before[path] == identity(path):  # else a newer one has come meanwhile: the next run takes it
            tidy(intake.source.after, path, found[path].sha256)
    return outcome


def delivered(intake: Intake, keyed: Mapping[str, str]) -> str:
    """Digest of the day that these files and those that were tidied away make.

    Args:
        keyed: keyed digest of each file in the inbox, by name.
    """
    return _combined(intake.key, dict(keyed) | _gone(intake, keyed))


def check_day(names: Collection[str], num_rows: int) -> None:
    """Refuse a day that is larger than one file may be, before more of it is read.

    Args:
        names: of its files.
    """
    if num_rows > limits.MAX_ROWS:
        need, got = f"at most {limits.MAX_ROWS} rows of one day", f"more in {len(names)} files"
        remedy = "Ask the sender what this is; docs/declaration.md, Limits, says what a day may hold."
        raise Terminal(min(names), need=need, got=got, remedy=remedy)


def _combined(key: bytes, keyed: Mapping[str, str]) -> str:
    return hashlib.blake2b(canonical(sorted(keyed.items())), key=key, digest_size=32).hexdigest()


def _gone(intake: Intake, keyed: Mapping[str, str]) -> dict[str, str]:
    """Name and keyed digest of files that were taken, tidied away, and not sent again under their name."""
    current = intake.current
    if current is None or intake.source.after == "keep":
        return {}
    return {
        file["name"]: file["keyed"] for file in current.manifest.notes.get("files", ()) if file["name"] not in keyed
    }


def _stored(intake: Intake, gone: Mapping[str, str]) -> dict[str, Stored]:
    """Rows of files that are only in the lake.

    Raises:
        Terminal: they were read by another code or under other settings than the files that are there.
    """
    current = intake.current
    if current is None or not gone:
        return {}
    manifest = current.manifest
    if (manifest.declared, manifest.code) != (digest(intake.declaration.part(intake.dataset)), CODE_VERSION):
        raise Terminal(
            str(intake.source.files).replace("{date}", intake.partition),
            need="all files of the day, for they were read under other settings of source",
            got=f"{len(gone)} that are in the lake only",
            remedy="Put them back from the archive, or let the sender send the whole day again.",
        )
    found, start = dict[str, Stored](), 0
    for file in manifest.notes["files"]:
        if file["name"] in gone:
            found[file["name"]] = Stored(version=current, positions=range(start, start + file["rows"]))
        start += file["rows"]
    return found


def _other_columns(name: str, found: Sequence[str], first: str, columns: Sequence[str]) -> Terminal:
    more, fewer = sorted(set(found) - set(columns)), sorted(set(columns) - set(found))
    listed = [
        f"{len(names)} {what}: {', '.join(names[:_NAMES_SHOWN])}"
        for what, names in (("more", more), ("missing", fewer))
        if names
    ]
    remedy = "Ask the sender for files of one kind; the order of their columns may differ."
    return Terminal(name, need=f"the columns of {first}", got="; ".join(listed), remedy=remedy)
