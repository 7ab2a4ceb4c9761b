"""Quantities as people write them: days (`60d`), shares (`5%` or 0.05), dates, and the width of a bin (`10y`)."""

import math
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from kedge.spec.mistake import Flaw, describe

_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)\s?%")
_CALENDAR = re.compile(r"([1-9][0-9]{0,3})([ymd])")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

CalendarUnit = Literal["y", "m", "d"]


def parse_days(value: Any) -> int:
    """`60d` -> 60."""
    if isinstance(value, str) and (match := _DAYS.fullmatch(value)):
        return int(match[1])
    raise Flaw("a number of days such as 60d", describe(value), "Write the number and the letter d.")


def parse_share(value: Any) -> float:
    """`5%` or 0.05 -> 0.05; from 0 to 1."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        share = float(Decimal(match[1]) / 100)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
    else:
        share = math.nan
    if 0.0 <= share <= 1.0:
        return share
    raise Flaw("a share from 0 to 1, such as 5% or 0.05", describe(value), "Write it with % or as a fraction of 1.")


def parse_date(value: Any) -> date:
    """A date, or its ISO form as text (YAML readers differ in which of the two they hand over)."""
    if type(value) is date:
        return value
    flaw = Flaw("a date such as 2026-01-31", describe(value), "Write year-month-day.")
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        raise flaw
    try:
        return date.fromisoformat(value)
    except ValueError:  # 2026-02-30
        raise flaw from None


def parse_number(value: Any) -> float:
    """A finite number that is no truth value."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise Flaw("a finite number", describe(value), "Write a number such as 0.75.")


def parse_width(value: Any) -> tuple[float, CalendarUnit | None]:
    """Width of a bin: `10y` -> (10.0, "y"); 5 -> (5.0, None)."""
    if isinstance(value, str) and (match := _CALENDAR.fullmatch(value)):
        unit: CalendarUnit = "y" if match[2] == "y" else "m" if match[2] == "m" else "d"
        return float(match[1]), unit
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value), None
    raise Flaw(
        "the width of a bin: a number above 0, or for dates years, months or days such as 10y, 3m, 7d",
        describe(value),
        "Write {bins: 5} for numbers or {bins: 10y} for dates.",
    )


def days(start: date | str, end: date | str) -> tuple[str, ...]:
    """All partition keys from `start` to `end`, both included, oldest first; empty if `end` comes before `start`."""
    first, last = (day if isinstance(day, date) else date.fromisoformat(day) for day in (start, end))
    return tuple((first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1))


Days = Annotated[int, BeforeValidator(parse_days), WithJsonSchema({"type": "string", "pattern": f"^{_DAYS.pattern}$"})]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": f"^{_PERCENT.pattern}$"},
            ]
        }
    ),
]
Day = Annotated[date, BeforeValidator(parse_date), WithJsonSchema({"type": "string", "format": "date"})]
Texts = Annotated[tuple[str, ...], Field(strict=False)]  # a YAML list; its elements stay strict
