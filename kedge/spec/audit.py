"""The audit trail of a pipeline: where its checkpoints are anchored, and which access is unusual."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from kedge.spec.mistake import Flaw, Mistake, describe, kind_of
from kedge.spec.model import SpecModel
from kedge.spec.quantity import Days, Texts

Rule = Literal["volume", "hour", "identity", "denied", "export_before_erasure"]
RULES: tuple[Rule, ...] = get_args(Rule)

S3 = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*")
_HOURS = re.compile(r"(?:([a-z]{3})-([a-z]{3}) )?([0-9]{1,2})-([0-9]{1,2})")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Hours = tuple[frozenset[int], frozenset[int]]
"""Days of the week (0 is Monday) and hours of the day on which access is expected."""


def _anchor(value: Any) -> Any:
    if isinstance(value, str) and _is_place(value):
        return value
    # never quoted: an address may hold a key
    need = "an absolute folder outside KEDGE_HOME, or s3://bucket/prefix"
    raise Flaw(need, kind_of(value), 'Write anchor: "/mnt/worm/kedge", for instance.')


def _is_place(text: str) -> bool:
    if text.startswith(S3):
        bucket, _, prefix = text.removeprefix(S3).rstrip("/").partition("/")
        parts = prefix.split("/") if prefix else []
        return bool(_BUCKET.fullmatch(bucket)) and (not parts or bool(_PREFIX.fullmatch(prefix))) and ".." not in parts
    path = PurePosixPath(text)
    return path.is_absolute() and bool(path.name) and ".." not in path.parts and text.isprintable()


def parse_hours(value: Any) -> Hours:
    """`mon-fri 7-19` -> days 0 to 4, hours 7 to 18; either range may run over its end: `22-6`, `sat-mon 8-12`."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        first, last = match[1] or "mon", match[2] or "sun"
        start, end = int(match[3]), int(match[4])
        if {first, last} <= set(_WEEKDAYS) and start < 24 and 0 < end <= 24 and start != end:
            days = _round(_WEEKDAYS.index(first), _WEEKDAYS.index(last) + 1, 7)
            return days, _round(start, end, 24)
    raise Flaw('hours such as "7-19" or "mon-fri 7-19"', describe(value), "Write the first hour and the one after it.")


def _round(start: int, end: int, size: int) -> frozenset[int]:
    return frozenset(range(start, end)) if start < end else frozenset({*range(start, size), *range(end)})


def _hours(value: Any) -> Any:
    parse_hours(value)
    return value


class Unusual(SpecModel):
    """What is reported as unusual; what is not declared is learned from the trailing `history`.

    Attributes:
        ignore: rules that are not looked at.
        history: trailing days that say what is usual.
        hours: when people are expected, in the pipeline's time zone.
        identities: who is expected.
        denied: so many decrypts in a row that failed.
        before_erasure: so many days before an erasure no copy leaves unnoticed, routine apart.
    """

    ignore: Annotated[tuple[Rule, ...], Field(strict=False)] = Field(
        default=(), description=f"a list of rules that are not looked at: {', '.join(RULES)}"
    )
    history: Annotated[Days, Field(ge=28)] = Field(default=60, description="days that say what is usual, such as 60d")
    hours: (
        Annotated[str, BeforeValidator(_hours), WithJsonSchema({"type": "string", "pattern": f"^{_HOURS.pattern}$"})]
        | None
    ) = Field(default=None, description='when people are expected, such as "mon-fri 7-19"')
    identities: Texts | None = Field(default=None, description="a list of the people (or services) that are expected")
    denied: Annotated[int, Field(ge=1)] = Field(default=3, description="failed decrypts in a row")
    before_erasure: Days = Field(default=7, description="days before an erasure, such as 7d")


class Audit(SpecModel):
    """The audit trail's second place, and what is read out of it.

    Attributes:
        anchor: a folder, or `s3://bucket/prefix`, where signed checkpoints are kept a second time.
        anchor_required: whether a stage fails as long as the anchor does not answer.
        unusual: which access raises an alert.
    """

    anchor: Annotated[str, BeforeValidator(_anchor)] | None = Field(
        default=None, description='where checkpoints are kept, such as "/mnt/worm/kedge" or "s3://bucket/prefix"'
    )
    anchor_required: bool = Field(default=False, description="true: no stage runs while the anchor does not answer")
    unusual: Unusual = Field(default=Unusual(), description="which access raises an alert")

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        if self.anchor_required and self.anchor is None and not broken & {"anchor", "anchor_required"}:
            remedy = "Write anchor, or remove anchor_required."
            yield Mistake(at=("anchor_required",), need="an anchor that is declared", got="none", remedy=remedy)
