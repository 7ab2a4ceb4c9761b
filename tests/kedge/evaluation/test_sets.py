"""Recent nights of hand-worked calendars."""

import pytest

from kedge.evaluation.sets import EPISODE_FLOOR, QUIET_FLOOR, Count, recent

NIGHTS = [f"2026-01-{day:02d}" for day in range(1, 31)]


def counts(rows: int, positives: int) -> dict[str, Count]:
    return {night: Count(rows, positives) for night in NIGHTS}


@pytest.mark.parametrize(
    ("rows", "positives", "episode", "expected", "enough"),
    [
        (600, 120, NIGHTS[-2:], 2, True),  # 1,200 rows and 240 positives already
        (600, 30, NIGHTS[-2:], 4, True),  # 100 of the rarer class need four nights
        (600, 570, NIGHTS[-2:], 4, True),  # the negatives are the rarer class
        (400, 100, NIGHTS[-2:], 3, True),  # 1,000 rows need three nights
        (600, 120, [], 7, True),
        (200, 40, [], 10, True),  # 2,000 rows
        (600, 10, [], 20, True),  # 200 of the rarer class
        (10, 2, [], 30, False),  # never reached: everything there is
        (10, 2, NIGHTS[-2:], 30, False),
    ],
)
def test_recent_nights(rows: int, positives: int, episode: list[str], expected: int, enough: bool) -> None:
    found = recent(counts(rows, positives), episode)
    assert found.nights == tuple(NIGHTS[-expected:])
    assert found.enough is enough
    assert found.floor == (EPISODE_FLOOR if episode else QUIET_FLOOR)


def test_an_episode_in_the_past_is_extended_back_not_forward() -> None:
    found = recent(counts(400, 100), NIGHTS[10:12])
    assert found.nights == tuple(NIGHTS[9:12])


def test_episode_nights_outside_the_window_do_not_count() -> None:
    assert recent(counts(600, 120), ["2025-12-31"]).nights == tuple(NIGHTS[-7:])


def test_no_nights_at_all() -> None:
    found = recent({}, [])
    assert found.nights == ()
    assert not found.enough
