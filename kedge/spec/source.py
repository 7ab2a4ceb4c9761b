"""Where deliveries come from, and the calendar they follow."""

import re
import zoneinfo
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kedge.spec.dialect import SUFFIXES, Dialect
from kedge.spec.mistake import Flaw, Mistake, describe
from kedge.spec.model import SpecModel
from kedge.spec.quantity import Day
from kedge.spec.reserved import Reserved

_CRON_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_ITEM = re.compile(r"(\*|(\d{1,2})(-(\d{1,2}))?)(/[1-9]\d?)?")


def _cron(value: Any) -> Any:
    fields = value.split() if isinstance(value, str) else []
    if len(fields) == 5 and all(map(_cron_field, fields, _CRON_LIMITS)):
        return value
    raise Flaw(
        "a cron schedule of five fields (minute hour day month weekday)", describe(value), 'Write "0 2 * * *" for 2:00.'
    )


def _cron_field(text: str, limits: tuple[int, int]) -> bool:
    items = [_CRON_ITEM.fullmatch(item) for item in text.split(",")]
    numbers = [int(number) for item in items if item for number in (item[2], item[4]) if number]
    return all(items) and all(limits[0] <= number <= limits[1] for number in numbers)


def _timezone(value: Any) -> Any:
    try:
        return zoneinfo.ZoneInfo(value).key
    except (TypeError, AttributeError, ValueError, KeyError, OSError):
        # not a text, not a name, or a folder of names: all the same to the reader
        remedy = "Take a name of the IANA time zone database."
        raise Flaw("a time zone such as Europe/Berlin", describe(value), remedy) from None


class Partitions(SpecModel):
    """Partitions are calendar days of `timezone`, from `start` on."""

    start: Day = Field(description="the first day, such as 2026-01-01")
    cron: Annotated[str, BeforeValidator(_cron)] = Field(
        default="0 2 * * *", description="when yesterday's delivery is due"
    )
    timezone: Annotated[str, BeforeValidator(_timezone)] = Field(default="UTC", description="whose calendar days count")


class Source(Dialect):
    """Files of deliveries: by `{date}`, by a column of their rows, or one file handed over `replay` rows a night.

    Attributes:
        files: path, relative to `Settings.data`; with `{date}` unless `replay` or `date_column` is set. `*` in its last
            part stands for any text: all matching files together are the delivery.
        replay: rows per night, in file order.
        date_column: column that says which calendar day a row belongs to.
        after: what becomes of a file once its day is in the lake.
    """

    files: str | None = Field(default=None, description='path of the files, such as "inbox/{date}.csv"')
    replay: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="rows per night, from a file without dates"
    )
    after: Literal["keep", "delete", "archive"] = Field(default="keep", description="what becomes of a file taken in")
    date_column: str | None = Field(
        default=None, description="column that says which day a row belongs to, in files without dates in their names"
    )
    sql: Reserved = None

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        if not broken & {"files", "replay"}:
            yield from self._path_mistakes()
        yield from self.dialect_mistakes(self.files, broken)
        way = "replay" if self.replay is not None else "date_column"
        if (self.replay or self.date_column) and self.after != "keep" and not broken & {"after", "replay"}:
            remedy = "Such a file is read again every night."
            yield Mistake(at=("after",), need=f"keep with {way}", got=self.after, remedy=remedy)
        if self.replay is not None and self.date_column is not None:
            remedy = "Rows come either by their position or by their date: remove one of the two."
            yield Mistake(at=("date_column",), need="no date_column with replay", got="both", remedy=remedy)

    def _path_mistakes(self) -> Iterator[Mistake]:
        if self.files is None:
            yield Mistake(
                at=("files",),
                need="a path",
                got="nothing",
                remedy='Write files: "inbox/{date}.csv" or a file to replay.',
            )
            return
        rest = self.files.replace("{date}", "2026-01-01")
        names = PurePosixPath(rest)
        if not self.format_of(names.name) or ".." in names.parts or "{" in rest or "}" in rest:
            yield Mistake(
                at=("files",),
                need=f"the path of a {', '.join(SUFFIXES)} file, or format, without .. and no braces but {{date}}",
                got=describe(self.files),
                remedy='Write files: "inbox/{date}.csv"; relative paths start at KEDGE_DATA.',
            )
        elif (self.replay is None and self.date_column is None) != (self.files.count("{date}") == 1):
            way = "replay" if self.replay is not None else "date_column"
            yield Mistake(
                at=("files",),
                need=f"no {{date}} with {way}" if self.replay or self.date_column else "{date} exactly once",
                got=describe(self.files),
                remedy="Give the files of a day with {date}, or files whose rows have a date_column, or one to replay.",
            )
        elif "*" in self.files and (self.replay is not None or "*" in "".join(names.parts[:-1])):
            yield Mistake(
                at=("files",),
                need="* only in the last part of the path, and none with replay",
                got=describe(self.files),
                remedy='Write files: "inbox/{date}/*.csv" or "inbox/{date}-*.csv".',
            )
