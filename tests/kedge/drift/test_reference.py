from typing import Any

import pytest

from kedge.drift.reference import reference, reference_nights
from kedge.errors import Terminal

WINDOW = {"2026-01-01": 2_000, "2026-01-02": 2_000, "2026-01-03": 1_000, "2026-01-05": 1_000}


@pytest.mark.parametrize(
    ("episode", "nights"),
    [
        ((), list(WINDOW)),
        (("2026-01-03", "2026-01-05"), ["2026-01-02", "2026-01-03", "2026-01-05"]),  # 2,000 rows are too few
        (("2026-01-02", "2026-01-03"), ["2026-01-02", "2026-01-03"]),
        (("2026-01-04", "2026-01-05"), ["2026-01-02", "2026-01-03", "2026-01-05"]),  # a night that did not train
        (("2026-02-01",), list(WINDOW)),
        (("2026-01-01",), ["2026-01-01"]),  # nothing before it
    ],
)
def test_nights_of_the_reference(episode: tuple[str, ...], nights: list[str]) -> None:
    assert reference_nights(WINDOW, episode) == nights


def test_a_champion_of_a_drift_episode_is_compared_with_its_nights(stored: Any, declaration: Any) -> None:
    nights = [stored.night(f"2026-01-0{n}", 2_000, seed=n) for n in (1, 2, 3, 4)]
    found = reference(stored.ws, declaration, stored.model(nights, episode=("2026-01-03", "2026-01-04")))
    assert dict(found.nights) == {version.partition: version.id for version in nights[2:]}
    assert set(found.sample.rows["_partition"]) == {"2026-01-03", "2026-01-04"}
    assert found.window == {"2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"}


def test_the_versions_are_those_that_trained(stored: Any, declaration: Any) -> None:
    """A night delivered again later changes nothing about what the champion knows."""
    first = stored.night("2026-01-01", 300, seed=1)
    model = stored.model([first])
    before = reference(stored.ws, declaration, model).sample.frame
    stored.night("2026-01-01", 300, seed=2)
    assert reference(stored.ws, declaration, model).sample.frame.equals(before)


def test_a_night_that_is_gone_is_named(stored: Any, declaration: Any) -> None:
    model = stored.model([stored.night("2026-01-01", 30, seed=1)])
    for file in sorted(stored.ws.dataset("bank", "anonymized").path.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    with pytest.raises(Terminal, match="anonymized/2026-01-01"):
        reference(stored.ws, declaration, model)
