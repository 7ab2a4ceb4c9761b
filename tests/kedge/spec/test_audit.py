"""The section `audit`: defaults, what is accepted, and each mistake with its place."""

from collections.abc import Callable
from typing import Any

import pytest

from kedge.spec import Declaration
from kedge.spec.audit import RULES, parse_hours

Declare = Callable[..., Declaration]
Refusal = Callable[..., dict[str, str]]


def test_nothing_declared_means_no_anchor_and_every_rule(declare: Declare) -> None:
    audit = declare().audit
    assert (audit.anchor, audit.anchor_required) == (None, False)
    assert (audit.unusual.ignore, audit.unusual.history, audit.unusual.denied) == ((), 60, 3)
    assert (audit.unusual.hours, audit.unusual.identities, audit.unusual.before_erasure) == (None, None, 7)


@pytest.mark.parametrize(
    "audit", [{}, {"unusual": {}}, {"anchor": None}, {"anchor_required": False}, {"unusual": {"history": "60d"}}]
)
def test_defaults_are_left_out_of_the_digest(declare: Declare, audit: dict[str, Any]) -> None:
    assert declare(audit=audit).digest == declare().digest
    assert declare(audit={"anchor": "/mnt/worm"}).digest != declare().digest


def test_everything_declared(declare: Declare) -> None:
    unusual = {
        "ignore": ["volume", "identity"],
        "history": "90d",
        "hours": "mon-fri 7-19",
        "identities": ["anna", "kedge"],
        "denied": 5,
        "before_erasure": "30d",
    }
    audit = declare(audit={"anchor": "s3://bucket/a/b", "anchor_required": True, "unusual": unusual}).audit
    assert audit.unusual.identities == ("anna", "kedge")
    assert set(audit.unusual.ignore) < set(RULES)


@pytest.mark.parametrize(
    "anchor", ["/mnt/worm/kedge", "s3://bucket", "s3://my.bucket-1/audit/kedge", "s3://bucket/prefix/", "/mnt/a b"]
)
def test_places(declare: Declare, anchor: str) -> None:
    assert declare(audit={"anchor": anchor}).audit.anchor == anchor


@pytest.mark.parametrize(
    "anchor",
    [
        "worm/kedge", "/", "", "/mnt/../etc", "https://host/x", "s3://", "s3://B", "s3://bucket/../x", "s3://bucket//x",
        "s3://key:hunter2@bucket/x", "/mnt/a\nb", 3, True, ["/mnt"],
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused_and_not_quoted(refusal: Refusal, anchor: Any) -> None:
    found = refusal(audit={"anchor": anchor})
    assert list(found) == ["audit.anchor"]
    assert "an absolute folder outside KEDGE_HOME, or s3://bucket/prefix" in found["audit.anchor"]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("changes", "setting", "words"),
    [
        ({"anchr": "/mnt/worm"}, "audit.anchr", "Did you mean anchor?"),
        ({"anchor_required": True}, "audit.anchor_required", "an anchor that is declared; got none"),
        ({"anchor_required": "yes"}, "audit.anchor_required", "true or false"),
        ({"unusual": {"ignore": ["volumes"]}}, "audit.unusual.ignore.0", "Did you mean volume?"),
        ({"unusual": {"history": "7d"}}, "audit.unusual.history", "at least 28"),
        ({"unusual": {"history": 60}}, "audit.unusual.history", "a number of days such as 60d"),
        ({"unusual": {"hours": "9-9"}}, "audit.unusual.hours", 'hours such as "7-19"'),
        ({"unusual": {"hours": "7-25"}}, "audit.unusual.hours", 'hours such as "7-19"'),
        ({"unusual": {"hours": "mo-fr 7-19"}}, "audit.unusual.hours", 'hours such as "7-19"'),
        ({"unusual": {"hours": 7}}, "audit.unusual.hours", "got 7"),
        ({"unusual": {"identities": "anna"}}, "audit.unusual.identities", "a list"),
        ({"unusual": {"denied": 0}}, "audit.unusual.denied", "at least 1"),
        ({"unusual": {"before_erasure": 7}}, "audit.unusual.before_erasure", "a number of days"),
    ],
)
def test_mistakes(refusal: Refusal, changes: dict[str, Any], setting: str, words: str) -> None:
    found = refusal(audit=changes)
    assert list(found) == [setting]
    assert words in found[setting]


def test_a_mistake_has_its_line(problems: Callable[[str], list[str]]) -> None:
    text = """\
type: pipelines.component.TrainingPipeline
attributes:
  partitions: {start: 2026-01-01}
  source: {files: "{date}.csv"}
  columns:
    amount: {type: float}
    left: {type: bool, role: target}
  audit:
    anchor: worm/kedge
    unusual:
      denied: 0
"""
    first, second = problems(text)
    assert first.startswith("pipelines/bank/defs.yaml:9: audit.anchor: needs an absolute folder")
    assert second.startswith("pipelines/bank/defs.yaml:11: audit.unusual.denied: needs at least 1")


@pytest.mark.parametrize(
    ("text", "days", "hours"),
    [
        ("7-19", range(7), range(7, 19)),
        ("mon-fri 7-19", range(5), range(7, 19)),
        ("0-24", range(7), range(24)),
        ("22-6", range(7), [22, 23, 0, 1, 2, 3, 4, 5]),
        ("sat-mon 8-12", [5, 6, 0], range(8, 12)),
        ("sun-sun 8-9", [6], [8]),
    ],
)
def test_hours(text: str, days: Any, hours: Any) -> None:
    assert parse_hours(text) == (frozenset(days), frozenset(hours))
