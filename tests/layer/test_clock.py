"""Nights are days of data, whatever clocks do: changes to summer time and back, leap days, other time zones."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from assets.attributes import daily
from kedge.spec import Declaration, load
from sensors import nightly

ROOT = Path(__file__).parent.parent.parent
START, END = date(2027, 12, 1), date(2028, 12, 1)
"""A year with a leap day, and two changes of the clock wherever there are any."""
SOURCE = "  source: {files: all.csv, replay: 1000}\n"
WHEN = [
    ("Europe/Berlin", "0 2 * * *"),  # on 26 March 2028 there is no 02:00
    ("Europe/Berlin", "30 2 * * *"),  # on 29 October 2028 there are two 02:30
    ("Europe/Berlin", "10 0 * * *"),  # in UTC that is the day before
    ("America/New_York", "30 23 * * *"),  # in UTC that is the day after
    ("Pacific/Auckland", "0 2 * * *"),
    ("UTC", "0 2 * * *"),
]


def _declaration(folder: Path, zone: str, cron: str) -> Declaration:
    """The bank in another time zone, its deliveries replayed, so that the schedule starts the nights."""
    lines = (ROOT / "pipelines/bank/defs.yaml").read_text().splitlines(keepends=True)
    declared = [line for line in lines if not line.startswith(("  source:", "  partitions:"))]
    at = 1 + next(n for n, line in enumerate(declared) if line.startswith("attributes:"))
    declared[at:at] = [f'  partitions: {{start: {START}, cron: "{cron}", timezone: {zone}}}\n', SOURCE]
    (folder / "bank").mkdir()
    (folder / "bank/defs.yaml").write_text("".join(declared))
    return load(folder / "bank/defs.yaml")


def _days(first: date, last: date) -> list[str]:
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


@pytest.mark.parametrize(("zone", "cron"), WHEN)
def test_every_day_is_asked_for_once_in_order(tmp_path: Path, zone: str, cron: str) -> None:
    declaration = _declaration(tmp_path, zone, cron)
    begin = datetime(START.year, START.month, START.day, 12, tzinfo=ZoneInfo(zone)).timestamp()
    asked = []
    for at in schedule_execution_time_iterator(begin, cron, zone):
        if at.date() > END:
            break
        with dg.build_schedule_context(scheduled_execution_time=at) as context:
            request = nightly.schedule(declaration)(context)
        if isinstance(request, dg.RunRequest):
            assert request.run_key == request.partition_key, "asked for twice, it runs once"
            asked.append(request.partition_key)
    assert asked == _days(START, END - timedelta(days=1))[-len(asked) :]
    assert asked[0] in _days(START, START + timedelta(days=1))
    assert "2028-02-29" in asked


@pytest.mark.parametrize("zone", sorted({zone for zone, _ in WHEN}))
def test_partitions_are_the_days_of_the_zone_that_have_ended(tmp_path: Path, zone: str) -> None:
    days = daily(_declaration(tmp_path, zone, "0 2 * * *"))
    midnight = datetime(END.year, END.month, END.day, tzinfo=ZoneInfo(zone))
    assert days.get_partition_keys(current_time=midnight) == _days(START, END - timedelta(days=1))
    just_before = midnight.astimezone(ZoneInfo("UTC")) - timedelta(seconds=1)
    assert days.get_partition_keys(current_time=just_before) == _days(START, END - timedelta(days=2))
