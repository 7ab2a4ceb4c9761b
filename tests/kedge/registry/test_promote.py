"""From an evaluation to a decision: once, whatever is killed in between."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from kedge.errors import Conflict, Terminal
from kedge.lake import Version
from kedge.registry.promote import promote
from kedge.registry.store import Registry
from kedge.registry.tracking import Tracking
from kedge.spec import Declaration
from kedge.workspace import Workspace

Evaluated = Callable[..., Version]


@pytest.fixture
def registry(ws: Workspace) -> Registry:
    return Registry.open(ws, "bank")


def champion(registry: Registry) -> str | None:
    found = registry.champion()
    return found.model if found else None


def test_nothing_evaluated_is_an_error_that_says_what_to_run(ws: Workspace, declaration: Declaration) -> None:
    with pytest.raises(Terminal, match="kedge run bank --job retrain"):
        promote(ws, declaration, None)


def test_a_promotion_takes_everything_from_the_evaluation(
    ws: Workspace, declaration: Declaration, evaluated: Evaluated, registry: Registry
) -> None:
    evaluation = evaluated("v1", None)
    decision = promote(ws, declaration, None)
    assert decision.promoted
    assert decision.reason == "promote because of a test"
    found = registry.champion()
    assert found is not None
    assert (found.model, found.evaluation, found.since) == ("v1", evaluation.id, "2026-01-30")
    assert (found.trigger, found.cause, found.nights) == ("sensor", "None:2026-01-29:1", ("2026-01-29", "2026-01-30"))


@pytest.mark.parametrize("action", ["refuse", "needs_approval"])
def test_anything_else_leaves_the_champion_and_keeps_the_reason(
    ws: Workspace, declaration: Declaration, evaluated: Evaluated, registry: Registry, action: str
) -> None:
    evaluated("v1", None)
    promote(ws, declaration, None)
    evaluated("v2", "v1", action)
    decision = promote(ws, declaration, None)
    assert (decision.action, decision.predecessor) == (action, "v1")
    assert champion(registry) == "v1"
    assert registry.history()[-1] == decision


def test_a_rerun_decides_nothing_twice(
    ws: Workspace, declaration: Declaration, evaluated: Evaluated, registry: Registry
) -> None:
    evaluated("v1", None)
    assert promote(ws, declaration, None) == promote(ws, declaration, None)
    assert len(registry.history()) == 1


def test_a_champion_is_never_promoted_over_itself(
    ws: Workspace, declaration: Declaration, evaluated: Evaluated, registry: Registry
) -> None:
    evaluated("v1", None)
    first = promote(ws, declaration, None)
    evaluated("v1", "v1")
    assert promote(ws, declaration, None) == first
    assert len(registry.history()) == 1


def test_an_evaluation_against_a_former_champion_is_a_conflict(
    ws: Workspace, declaration: Declaration, evaluated: Evaluated, registry: Registry
) -> None:
    evaluated("v1", None)
    promote(ws, declaration, None)
    evaluated("v2", None)
    with pytest.raises(Conflict, match="Run the evaluation again"):
        promote(ws, declaration, None)
    assert champion(registry) == "v1"


KILLED = """
import sys
from kedge.registry.promote import promote
from kedge.registry.tracking import Tracking
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.workspace import Workspace
sys.path.insert(0, sys.argv[1])
from conftest import ATTRIBUTES
settings = Settings.from_environment()
promote(Workspace.open(settings), Declaration.named("bank", ATTRIBUTES), Tracking.open(settings))
"""


def test_killed_between_pointer_and_aliases_the_rerun_repairs_them(
    ws: Workspace,
    declaration: Declaration,
    evaluated: Evaluated,
    registry: Registry,
    request: pytest.FixtureRequest,
) -> None:
    tracking = Tracking.open(ws.settings)
    for model in ("v1", "v2"):
        with tracking.run("bank", model) as run:
            run.register({"model.json": b"{}"})
    evaluated("v1", None)
    promote(ws, declaration, tracking)
    assert tracking.aliases("bank") == {"champion": 1, "challenger": 2}
    evaluated("v2", "v1")
    env = {**os.environ, "KEDGE_FAULT": "registry.mirror.before:kill"}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(request.path.parent)], env=env, check=False)
    assert killed.returncode == -9
    assert champion(registry) == "v2"
    assert tracking.aliases("bank") == {"champion": 1, "challenger": 2}
    promote(ws, declaration, tracking)
    assert tracking.aliases("bank") == {"champion": 2, "previous": 1}
    assert [d.model for d in registry.history()] == ["v1", "v2"]
