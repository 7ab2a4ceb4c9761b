"""Which delivery belongs to which partition: files by their date, or a slice of a file that is replayed."""

from datetime import date
from pathlib import Path

from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.source import template
from kedge.spec import Declaration


def day(declaration: Declaration, partition: str) -> date:
    """The calendar day of a partition key.

    Raises:
        Terminal: the key is no ISO date, or lies before `partitions.start`.
    """
    try:
        found = date.fromisoformat(partition)
    except ValueError:
        found = None
    if found is None or found.isoformat() != partition:
        raise Terminal(
            "partition",
            need="a date such as 2026-01-31",
            got=f"{len(partition)} other characters",
            remedy="Write year-month-day.",
        )
    if found < declaration.partitions.start:
        raise Terminal(
            "partition",
            need=f"{declaration.partitions.start} (partitions.start) or later",
            got=partition,
            remedy="Ask for a later day, or let partitions.start be earlier.",
        )
    return found


def night(declaration: Declaration, partition: str) -> int:
    """How many nights after `partitions.start` the partition is; 0 for the first."""
    return (day(declaration, partition) - declaration.partitions.start).days


def replayed(declaration: Declaration, partition: str) -> range:
    """Rows of the file that a replayed night delivers: night n gets rows n*N up to (n+1)*N, N = `source.replay`.

    Raises:
        Terminal: the source is not replayed, or the partition is none of it.
    """
    size = declaration.source.replay
    if size is None:
        raise Terminal("source.replay", need="a number of rows a night", got="nothing", remedy="Use the file by date.")
    n = night(declaration, partition)
    return range(n * size, (n + 1) * size)


def delivery_files(declaration: Declaration, settings: Settings, partition: str) -> list[Path]:
    """Files of a partition's delivery in order of name; where one file is expected, its path, there or not."""
    day(declaration, partition)
    return template.of_day(settings.data, declaration.source.files or "", partition)
