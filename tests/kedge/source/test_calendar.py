import pytest

from kedge.errors import Terminal
from kedge.source import calendar


def test_nights_count_from_the_start_across_a_leap_day(declare):
    declaration = declare()
    assert calendar.night(declaration, "2026-01-01") == 0
    assert calendar.night(declaration, "2028-03-01") == 790  # 365 + 365 + 31 + 29
    assert calendar.day(declaration, "2028-02-29").isoformat() == "2028-02-29"


def test_replay_delivers_the_file_in_order_without_gap_or_overlap(declare):
    declaration = declare(files="all.csv", replay=1000)
    assert calendar.replayed(declaration, "2026-01-01") == range(0, 1000)
    assert calendar.replayed(declaration, "2026-01-03") == range(2000, 3000)


@pytest.mark.parametrize(
    "key", ["2026-1-1", "20260101", "2026-02-30", "../../etc", "2026-01-01\n", "all", "2025-12-31"]
)
def test_a_partition_outside_the_calendar_is_refused(declare, key):
    with pytest.raises(Terminal):
        calendar.day(declare(), key)


def test_a_source_by_date_has_no_slices(declare):
    with pytest.raises(Terminal, match=r"source\.replay"):
        calendar.replayed(declare(), "2026-01-01")


def test_the_path_of_a_delivery(declare, settings):
    assert calendar.delivery_files(declare(), settings, "2026-01-02") == [settings.data / "inbox" / "2026-01-02.csv"]
