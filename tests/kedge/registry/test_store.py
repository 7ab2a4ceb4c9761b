"""The history of decisions: one champion at any moment, whatever is killed and whoever else writes."""

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kedge import faults
from kedge.errors import Conflict, Tampered
from kedge.registry.decision import Champion, Decision
from kedge.registry.store import POINT, Registry


def decision(model: str, action: str = "promote", at: str = "2026-01-30") -> Decision:
    return Decision(
        action=action,  # type: ignore[arg-type]
        reason="every gate holds",
        model=model,
        evaluation=f"evaluation of {model}",
        trigger="sensor",
        cause="v0:2026-01-29:1",
        at=at,
        nights=("2026-01-29", at),
        decided_at="2026-01-31T02:00:00+00:00",
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry", _secret)


def test_a_new_registry_has_no_champion_and_no_history(registry: Registry) -> None:
    assert registry.champion() is None
    assert registry.history() == []
    assert registry.reigns() == []


def test_a_promotion_moves_the_champion_and_a_refusal_does_not(registry: Registry) -> None:
    registry.decide(decision("v1"), None)
    first = registry.champion()
    assert first is not None
    assert (first.model, first.since, first.nights) == ("v1", "2026-01-30", ("2026-01-29", "2026-01-30"))
    for action in ("refuse", "needs_approval"):
        registry.decide(decision(f"v2 {action}", action), first)
        assert registry.champion() == first
    registry.decide(decision("v3"), first)
    assert registry.champion() == decision("v3").champion()
    assert [(d.number, d.action, d.predecessor) for d in registry.history()] == [
        (1, "promote", None),
        (2, "refuse", "v1"),
        (3, "needs_approval", "v1"),
        (4, "promote", "v1"),
    ]


def test_reigns_say_what_was_in_production_from_when_to_when(registry: Registry) -> None:
    registry.decide(decision("v1", at="2026-01-30"), None)
    registry.decide(decision("v2", "refuse", at="2026-02-03"), registry.champion())
    registry.decide(decision("v3", at="2026-02-07"), registry.champion())
    assert [(r.model, r.since, r.until) for r in registry.reigns()] == [
        ("v1", "2026-01-30", "2026-02-07"),
        ("v3", "2026-02-07", None),
    ]


def test_a_decision_survives_json(registry: Registry) -> None:
    recorded = registry.decide(decision("v1"), None)
    assert Decision.from_json(json.loads(json.dumps(recorded.to_json()))) == recorded
    assert registry.history() == [recorded]
    assert registry.decided("evaluation of v1") == recorded
    assert registry.decided("another") is None


def test_whoever_compared_with_a_former_champion_gets_a_conflict_that_names_the_winner(registry: Registry) -> None:
    registry.decide(decision("v1"), None)
    old = registry.champion()
    registry.decide(decision("v2"), old)
    with pytest.raises(Conflict, match="promote v2"):
        registry.decide(decision("v3"), old)
    with pytest.raises(Conflict, match="promote v2"):
        registry.decide(decision("v3"), None)
    champion = registry.champion()
    assert champion is not None
    assert champion.model == "v2"


def test_a_champion_expected_where_there_is_none_is_a_conflict(registry: Registry) -> None:
    with pytest.raises(Conflict, match="no champion at all"):
        registry.decide(decision("v1"), decision("v0").champion())


def _race(path: Path, model: str, results: "multiprocessing.Queue[str]") -> None:
    try:
        Registry(path, _secret).decide(decision(model), None)
        results.put(model)
    except Conflict:
        results.put("lost")


def test_of_many_writers_exactly_one_wins(registry: Registry) -> None:
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    writers = [context.Process(target=_race, args=(registry.path, f"v{i}", results)) for i in range(6)]
    for writer in writers:
        writer.start()
    found = [results.get(timeout=30) for _ in writers]
    for writer in writers:
        writer.join()
    winners = [model for model in found if model != "lost"]
    champion = registry.champion()
    assert champion is not None
    assert winners == [champion.model]
    assert len(registry.history()) == 1


def _secret() -> bytes:
    return bytes(32)


POINTS = [f"{POINT}.{name}" for name in ("before", "written", "after")]


def test_the_fault_points_are_registered() -> None:
    assert set(POINTS) <= faults.points()


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_there_is_one_champion_and_a_rerun_goes_on(registry: Registry, point: str) -> None:
    registry.decide(decision("v1"), None)
    code = (
        "import sys; from pathlib import Path; from dataclasses import replace\n"
        "from kedge.registry.store import Registry\n"
        "r = Registry(Path(sys.argv[1]), lambda: bytes(32))\n"
        "d = replace(r.history()[0], model='v2', evaluation='second')\n"
        "r.decide(d, r.champion())"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(registry.path)],
        env={**os.environ, "KEDGE_FAULT": f"{point}:kill"},
        check=False,
    )
    assert killed.returncode == -9
    moved = point.endswith("after")
    champion = registry.champion()
    assert champion is not None
    assert champion.model == ("v2" if moved else "v1")
    assert len(registry.history()) == (2 if moved else 1)
    registry.decide(replace(decision("v3"), evaluation="third"), champion)
    assert not list(registry.path.glob(".tmp-*"))
    assert [d.number for d in registry.history()] == list(range(1, 4 if moved else 3))


def test_a_missing_decision_is_noticed(registry: Registry) -> None:
    for model in ("v1", "v2", "v3"):
        registry.decide(decision(model), registry.champion())
    (registry.path / "000002.json").unlink()
    with pytest.raises(Tampered, match="without a gap"):
        registry.champion()


def test_a_damaged_decision_is_noticed(registry: Registry) -> None:
    registry.decide(decision("v1"), None)
    (registry.path / "000001.json").write_bytes(b"{")
    with pytest.raises(Tampered, match="no JSON object"):
        registry.champion()


def test_an_edited_decision_and_one_of_another_number_are_refused(registry: Registry) -> None:
    for model in ("v1", "v2"):
        registry.decide(decision(model), registry.champion())
    first, second = (registry.path / f"00000{number}.json" for number in (1, 2))
    written = second.read_text()
    second.write_text(written.replace("v2", "v1"))
    with pytest.raises(Tampered, match=r"000002\.json: .* edited") as caught:
        registry.champion()
    assert caught.value.part == "decision"
    second.write_bytes(first.read_bytes())
    with pytest.raises(Tampered, match="of another number"):
        registry.champion()
    second.write_text(written)
    assert [past.model for past in registry.history()] == ["v1", "v2"]


def test_files_are_never_rewritten(registry: Registry) -> None:
    registry.decide(decision("v1"), None)
    before = (registry.path / "000001.json").read_bytes()
    for number in range(2, 5):
        registry.decide(decision(f"v{number}"), registry.champion())
    assert (registry.path / "000001.json").read_bytes() == before
    champion = registry.champion()
    assert isinstance(champion, Champion)
    assert champion.model == "v4"
