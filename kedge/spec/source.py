"""Where deliveries come from, and the calendar they follow."""

import codecs
import re
import zoneinfo
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kedge.spec.mistake import Flaw, Mistake, describe
from kedge.spec.model import SpecModel
from kedge.spec.quantity import Day, Texts
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


def _encoding(value: Any) -> Any:
    try:
        return codecs.lookup(value).name
    except (LookupError, TypeError):
        raise Flaw("a text encoding such as utf-8", describe(value), "Take a name that Python knows.") from None


class Partitions(SpecModel):
    """Partitions are calendar days of `timezone`, from `start` on."""

    start: Day = Field(description="the first day, such as 2026-01-01")
    cron: Annotated[str, BeforeValidator(_cron)] = Field(
        default="0 2 * * *", description="when yesterday's delivery is due"
    )
    timezone: Annotated[str, BeforeValidator(_timezone)] = Field(default="UTC", description="whose calendar days count")


class Source(SpecModel):
    """Files of deliveries: one per day by `{date}`, or one file handed over `replay` rows a night.

    Attributes:
        files: path, relative to `Settings.data`; with `{date}` unless `replay` is set.
        replay: rows per night, in file order.
        header: whether the first line names the columns; without it they come in declared order.
        missing: texts that mean "no value".
        after: what becomes of a file once its day is in the lake.
    """

    files: str | None = Field(default=None, description='path of the files, such as "inbox/{date}.csv"')
    replay: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="rows per night, from a file without dates"
    )
    header: bool = Field(default=True, description="whether the first line names the columns")
    delimiter: str = Field(default=",", description="one character between fields")
    encoding: Annotated[str, BeforeValidator(_encoding)] = Field(
        default="utf-8", description="text encoding of the files"
    )
    missing: Texts = Field(default=("",), description='texts that mean "no value", such as ["", "?"]')
    after: Literal["keep", "delete", "archive"] = Field(default="keep", description="what becomes of a file taken in")
    date_column: Reserved = None
    sql: Reserved = None

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        if not broken & {"files", "replay"}:
            yield from self._path_mistakes()
        if "delimiter" not in broken and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            yield Mistake(
                at=("delimiter",),
                need="exactly one character that is no quote or line end",
                got=describe(self.delimiter),
                remedy='Write it in quotes, such as ";" or "\\t".',
            )
        if "missing" not in broken and len(set(self.missing)) < len(self.missing):
            yield Mistake(at=("missing",), need="each text once", got="one twice", remedy="Remove the repetition.")
        if self.replay is not None and self.after != "keep":
            yield Mistake(
                at=("after",),
                need="keep with replay",
                got=self.after,
                remedy="A replayed file is read again every night.",
            )

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
        if not names.name.endswith((".csv", ".csv.gz")) or ".." in names.parts or "{" in rest or "}" in rest:
            yield Mistake(
                at=("files",),
                need="the path of a .csv or .csv.gz file, without .. and with no braces but {date}",
                got=describe(self.files),
                remedy='Write files: "inbox/{date}.csv"; relative paths start at KEDGE_DATA.',
            )
        elif (self.replay is None) != (self.files.count("{date}") == 1):
            yield Mistake(
                at=("files",),
                need="{date} exactly once" if self.replay is None else "no {date} with replay",
                got=describe(self.files),
                remedy="Give one file per day with {date}, or one file with replay: rows a night.",
            )
