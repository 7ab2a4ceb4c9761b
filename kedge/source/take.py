"""Take a delivery into the lake: the dataset `raw`."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from kedge.errors import Terminal, Transient
from kedge.lake import Outcome
from kedge.outcome import Findings
from kedge.source import calendar, template
from kedge.source.dated import take_day
from kedge.source.delivery import take_together
from kedge.source.file import source_manifest
from kedge.source.inbox import checked, identity, tidy
from kedge.source.intake import Intake
from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.workspace import Workspace


def take(ws: "Workspace", declaration: Declaration, partition: str, dataset: str = "raw") -> Outcome:
    """Take the delivery of a partition in: text as received, encrypted, with `_row` (its position).

    The same bytes again write nothing; other bytes for a known day make a new version. What `source.after` says
    happens to the files once their rows are in the lake. When the files have gone and their day is in the lake, the
    lake answers.

    Raises:
        Transient: the files are not there yet, or change while they are read.
        Terminal: they are not what their manifests announce, or no such files; no row is of that day.
    """
    return take_in(intake(ws, declaration, partition, dataset))


def intake(ws: "Workspace", declaration: Declaration, partition: str, dataset: str = "raw") -> Intake:
    """What `take` takes."""
    return Intake(
        ws=ws,
        declaration=declaration,
        partition=partition,
        source=declaration.source,
        declared=declaration.delivered,
        dataset=dataset,
    )


def take_in(intake: Intake) -> Outcome:
    """Take in what is there for the intake; see `take`."""
    source = intake.source
    paths = calendar.delivery_files(intake.declaration, intake.ws.settings, intake.partition)
    if not any(path.exists() or path.is_symlink() for path in paths):
        return _in_the_lake(intake)
    if source.replay is not None:
        return _replay(intake, paths[0])
    if source.date_column is not None:
        return take_day(intake, paths)
    if template.holds_several(source.files or ""):
        return take_together(intake, paths)
    return _take_file(intake, paths[0])


def _take_file(intake: Intake, path: Path) -> Outcome:
    before = identity(path)
    found = checked(path, intake.key)
    frame = intake.delivery(path, found.keyed).scan()
    outcome = intake.store(frame, found.keyed, lambda: Findings(facts={"file_bytes": found.bytes}))
    if before == identity(path):  # else a newer delivery has come meanwhile: the next run takes it
        tidy(intake.source.after, path, found.sha256)
    return outcome


def _replay(intake: Intake, path: Path) -> Outcome:
    """A night of a replayed file; its digest is that of its rows, so that a longer file leaves old nights valid."""
    rows = calendar.replayed(intake.declaration, intake.partition)
    if source_manifest(path) is not None:
        checked(path, b"")
    frame = intake.delivery(path).rows(rows)
    if frame.is_empty():
        raise Terminal(
            path.name,
            need=f"more than {rows.start} rows for {intake.partition}, {intake.source.replay} of them a night",
            got="a file that has ended before",
            remedy="End with an earlier day, or send a longer file.",
        )
    keyed = hashlib.blake2b(key=intake.key, digest_size=32)
    keyed.update(frame.drop("_row").write_csv(quote_style="always", null_value="\x00").encode())
    return intake.store(frame.lazy(), keyed.hexdigest(), lambda: Findings(facts={"first_row": rows.start}))


def _in_the_lake(intake: Intake) -> Outcome:
    version = intake.current
    if version is None:
        files = str(intake.source.files).replace(template.DATE, intake.partition)
        folder = (intake.ws.settings.data / files).parent
        raise Transient(
            files,
            need="the delivery of that day",
            got="no such file" if folder.is_dir() else "no such folder",
            remedy="Wait for the sender, or set KEDGE_DATA to the folder where relative paths start.",
        )
    return Outcome(version=version, written=False)
