import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from commands.status import render
from kedge.lake import Draft, Version, produce
from kedge.outcome import Check, Findings
from kedge.registry.decision import Decision
from kedge.registry.store import Registry
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.status import status
from kedge.workspace import Workspace


@pytest.fixture
def declaration() -> Declaration:
    return Declaration.named(
        "bank",
        {
            "partitions": {"start": "2026-01-01"},
            "source": {"files": "{date}.csv"},
            "columns": {"balance": {"type": "float"}, "left": {"type": "bool", "role": "target"}},
        },
    )


@dataclass
class Written:
    """Writes manifests as the stages do."""

    ws: Workspace
    made: dict[str, Version] = field(default_factory=dict)

    def put(
        self,
        name: str,
        partition: str,
        inputs: dict[str, str],
        facts: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        reason: str | None = None,
    ) -> Version:
        def write(draft: Draft) -> Findings:
            draft.write_bytes(b"{}", "file.json")
            check = Check(name="contract", passed=reason is None, description=reason or "")
            return Findings(checks=(check,), facts=facts or {}, notes=notes or {})

        dataset = self.ws.dataset("bank", name)
        return produce(dataset, partition, inputs=inputs, declared={}, code=1, write=write).version

    def night(self, partition: str, *, drifted: bool | None = False, delivery: str = "d1") -> None:
        raw = self.put("raw", partition, {"delivery": delivery})
        validated = self.put("validated", partition, {"raw": raw.id}, {"rows_in": 0, "quarantined": 3})
        border = self.put("anonymized", partition, {"validated": validated.id}, {"masked_rows": 2, "dropped_rows": 1})
        notes = {
            "drifted": drifted,
            "reason": "drifted: the prediction" if drifted else "0 of 5 features drifted",
            "champion": "vA",
            "columns": {"plan": {"drifted": bool(drifted)}, "balance": {"drifted": False}},
        }
        self.put("drift_report", partition, {"anonymized": border.id, "model": "vA"}, notes=notes)


@pytest.fixture
def written(settings: Settings) -> Written:
    return Written(Workspace.open(settings))


def decision(action: str, model: str, at: str, evaluation: str, reason: str) -> Decision:
    return Decision(
        action=action,  # type: ignore[arg-type]
        reason=reason,
        model=model,
        evaluation=evaluation,
        trigger="sensor",
        cause=f"vA:{at}:1",
        at=at,
        nights=("2026-01-01", at),
        decided_at="2026-01-04T02:00:00+00:00",
    )


def test_nothing_yet(written: Written, declaration: Declaration) -> None:
    assert status(written.ws, declaration) == {
        "pipeline": "bank",
        "champion": None,
        "partitions": [],
        "decisions": [],
    }


def test_nights_that_went_through(written: Written, declaration: Declaration) -> None:
    written.night("2026-01-02", drifted=True)
    written.night("2026-01-01")
    first, second = status(written.ws, declaration)["partitions"]
    assert first["partition"] == "2026-01-01"
    assert (first["quarantined"], first["masked"], first["dropped"], first["blocked"]) == (3, 2, 1, None)
    assert first["drift"] == {
        "drifted": False,
        "reason": "0 of 5 features drifted",
        "champion": "vA",
        "columns": [],
    }
    assert (second["drift"]["drifted"], second["drift"]["columns"]) == (True, ["plan"])


def test_blocked_nights_say_where_and_why(written: Written, declaration: Declaration) -> None:
    at_contract = written.put("raw", "2026-01-01", {"delivery": "d"})
    written.put("validated", "2026-01-01", {"raw": at_contract.id}, {"rows_in": 9}, reason="unknown columns: iban")
    raw = written.put("raw", "2026-01-02", {"delivery": "d"})
    at_border = written.put("validated", "2026-01-02", {"raw": raw.id}, {"quarantined": 0})
    written.put("anonymized", "2026-01-02", {"validated": at_border.id}, {"masked_rows": 90}, reason="over budget")
    written.put("raw", "2026-01-03", {"delivery": "d"})
    contract, border, waiting = status(written.ws, declaration)["partitions"]
    assert contract["blocked"]["dataset"] == "validated"
    assert "unknown columns: iban" in contract["blocked"]["reason"]
    assert (contract["masked"], contract["released"], contract["drift"]) == (None, None, None)
    assert border["blocked"]["dataset"] == "anonymized"
    assert (border["quarantined"], border["masked"], border["released"]) == (0, 90, None)
    assert (waiting["blocked"], waiting["quarantined"]) == (None, None)


def test_a_second_delivery_that_is_blocked_hides_the_first(written: Written, declaration: Declaration) -> None:
    written.night("2026-01-01", drifted=True)
    again = written.put("raw", "2026-01-01", {"delivery": "d2"})
    (night,) = status(written.ws, declaration)["partitions"]
    assert (night["quarantined"], night["drift"]) == (None, None)
    written.put("validated", "2026-01-01", {"raw": again.id}, reason="too many broken rows")
    (night,) = status(written.ws, declaration)["partitions"]
    assert "too many broken rows" in night["blocked"]["reason"]


def test_the_champion_its_figures_and_what_was_decided(written: Written, declaration: Declaration) -> None:
    figures = {"auc": {"value": 0.81, "low": 0.79, "high": 0.83}}
    sets = {"recent": {"rows": 10, "challenger": figures}, "trusted": {"rows": 0}}
    evaluation = written.put("evaluation", "all", {"model": "vA"}, notes={"sets": sets})
    registry = Registry.open(written.ws, "bank")
    registry.decide(decision("promote", "vA", "2026-01-30", evaluation.id, "every gate holds"), None)
    registry.decide(
        decision("refuse", "vB", "2026-02-05", "v" + "1" * 32, "auc on recent is below 0.75"), registry.champion()
    )
    found = status(written.ws, declaration)
    json.dumps(found)
    assert found["champion"] == {
        "model": "vA",
        "since": "2026-01-30",
        "nights": {"first": "2026-01-01", "last": "2026-01-30", "count": 2},
        "cause": "vA:2026-01-30:1",
        "trigger": "sensor",
        "reason": "every gate holds",
        "stale": None,
        "metrics": {"recent": figures, "trusted": {}},
    }
    assert [(d["action"], d["model"], d["reason"]) for d in found["decisions"]] == [
        ("promote", "vA", "every gate holds"),
        ("refuse", "vB", "auc on recent is below 0.75"),
    ]


def test_a_champion_is_stale_on_nights_that_were_delivered_anew(written: Written, declaration: Declaration) -> None:
    for night in ("2026-01-01", "2026-01-02"):
        written.night(night)
    anonymized = written.ws.dataset("bank", "anonymized")
    nights = {night: version.id for night in anonymized.partitions() if (version := anonymized.current(night))}
    training_set = written.put("training_set", "all", nights, notes={"nights": nights})
    model = written.put("model", "all", {"training_set": training_set.id})
    evaluation = written.put("evaluation", "all", {"model": model.id}, notes={"sets": {}})
    registry = Registry.open(written.ws, "bank")
    registry.decide(decision("promote", model.id, "2026-01-02", evaluation.id, "every gate holds"), None)
    assert status(written.ws, declaration)["champion"]["stale"] == []
    written.night("2026-01-02", delivery="d2")
    found = status(written.ws, declaration)
    assert found["champion"]["stale"] == ["2026-01-02"]
    lines = [str(part) for part in render(found)]
    assert "Stale: trained on an older version of 1 night(s): 2026-01-02" in lines


def test_sixty_nights_are_quick(written: Written, declaration: Declaration) -> None:
    for n in range(60):
        written.night(f"2026-{1 + n // 28:02d}-{1 + n % 28:02d}")
    start = time.process_time()
    assert len(status(written.ws, declaration)["partitions"]) == 60
    assert time.process_time() - start < 0.2
