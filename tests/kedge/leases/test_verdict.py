"""Verdicts from observations: a table, and the clock that is the observer's own."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from kedge.leases import Death, Instant, Sight, Sighting, Watch, hold, judge, look, verdict

HELD, FREE, NONE = Sight("held", "here 3"), Sight("free", "here 3"), Sight("none")


def _at(seconds: float, boot: str = "this") -> Instant:
    return Instant(boot=boot, seconds=seconds)


def _seen(lease: Sight, **more: Any) -> list[Sighting]:
    return [Sighting(run="r", lease=lease, **more)]


def _looks(*looks: tuple[float, Sight], boot: str = "this", **more: Any) -> list[str]:
    """What each of several looks in a row finds dead."""
    watch, found = Watch(), []
    for seconds, lease in looks:
        dead, watch = judge(_seen(lease, **more), watch, _at(seconds, boot))
        watch = Watch.of_json(json.loads(json.dumps(watch.as_json())))
        found.append(dead[0].reason if dead else "")
    return found


@pytest.mark.parametrize(
    ("lease", "more", "reason"),
    [
        (HELD, {}, ""),
        (FREE, {}, verdict.ENDED),
        (FREE, {"vouched": True}, ""),
        (FREE, {"queued": True}, verdict.ENDED),
        (NONE, {}, ""),
        (Sight("distant", "there 1"), {}, ""),
    ],
)
def test_one_look_is_proof_only_for_a_lock_that_nobody_holds(lease: Sight, more: dict[str, Any], reason: str) -> None:
    dead, _ = judge(_seen(lease, **more), Watch(), _at(1e9))
    assert dead == ([Death(run="r", reason=reason)] if reason else [])


def test_a_beat_that_stops_is_a_death_and_one_that_goes_on_is_not() -> None:
    ticks = [30.0 * tick for tick in range(20)]
    assert not any(_looks(*((at, Sight("distant", f"there {at}")) for at in ticks)))
    still = _looks(*((at, Sight("distant", "there 7")) for at in ticks[:3]))
    assert still == ["", "", verdict.SILENT]
    late = [
        (0.0, Sight("distant", "there 7")),
        (59.0, Sight("distant", "there 7")),
        (118.0, Sight("distant", "there 8")),
    ]
    assert _looks(*late) == ["", "", ""]


def test_a_run_that_nobody_has_is_given_time() -> None:
    assert _looks((0, NONE), (60, NONE), (119, NONE), (121, NONE)) == ["", "", "", verdict.ABSENT]
    assert not any(_looks((0, NONE), (60, NONE), (121, NONE), (200, NONE), vouched=True))
    assert not any(_looks((0, NONE), (60, NONE), (121, NONE), (200, NONE), queued=True))
    between_stages = [(0.0, NONE), (60.0, NONE), (100.0, HELD), (130.0, NONE), (190.0, NONE)]
    assert not any(_looks(*between_stages))


def test_who_has_not_looked_for_long_begins_anew() -> None:
    assert _looks((0, NONE), (3_600, NONE), (3_660, NONE)) == ["", "", ""]
    _, watch = judge(_seen(NONE), Watch(), _at(0))
    for elsewhere in (_at(10_000_000, "after a restart"), _at(-5)):
        dead, after = judge(_seen(NONE), watch, elsewhere)
        assert not dead
        assert after.doubts == {"r": ("", elsewhere.seconds)}


def test_runs_that_have_ended_are_forgotten() -> None:
    _, watch = judge([Sighting(run=name, lease=NONE) for name in "ab"], Watch(), _at(0))
    _, watch = judge([Sighting(run="b", lease=NONE)], watch, _at(30))
    assert watch.doubts == {"b": ("", 0)}


def test_no_wall_clock_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> float:
        raise AssertionError("a wall clock was read")

    for name in ("time", "time_ns", "localtime", "gmtime"):
        monkeypatch.setattr(time, name, refuse)
    with hold(tmp_path, "r"):
        dead, watch = judge(_seen(look(tmp_path, "r")), Watch(), _at(time.monotonic()))
        assert (dead, watch.doubts) == ([], {})
    assert judge(_seen(look(tmp_path, "r")), watch, _at(time.monotonic()))[1].doubts.keys() == {"r"}
