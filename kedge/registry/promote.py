"""The asset `champion`: the latest evaluation becomes a decision, and MLflow's aliases follow it."""

from datetime import UTC, datetime

from kedge import faults
from kedge.errors import Conflict
from kedge.lake import ALL, Version
from kedge.registry.decision import Champion, Decision
from kedge.registry.store import Registry
from kedge.registry.tracking import Tracking
from kedge.spec import Declaration
from kedge.workspace import Workspace

faults.register("registry.mirror.before")


def promote(ws: Workspace, declaration: Declaration, tracking: Tracking | None) -> Decision:
    """Decide as the current evaluation says: move the champion or leave it, and record why.

    There is one decision per evaluation: a rerun finds it, repairs the aliases and returns it.

    Args:
        tracking: whose aliases follow; None without MLflow.

    Raises:
        Terminal: nothing was evaluated yet.
        Conflict: the champion is no longer the one the challenger was compared with.
    """
    remedy = f"Run it: kedge run {declaration.name} --job retrain."
    evaluation = ws.dataset(declaration.name, "evaluation").require(ALL, remedy)
    registry = Registry.open(ws, declaration.name)
    decision = registry.decided(evaluation.id) or _crowned(registry, evaluation)
    decision = decision or _decide(registry, evaluation, declaration.digest)
    faults.reach("registry.mirror.before")
    if tracking is not None:
        tracking.mirror(declaration.name, registry)
    return decision


def _crowned(registry: Registry, evaluation: Version) -> Decision | None:
    """The decision that made the challenger champion, if it is champion already: it is not promoted over itself."""
    champion = registry.champion()
    if champion is None or champion.model != evaluation.manifest.notes["challenger"]:
        return None
    return registry.decided(champion.evaluation)


def _decide(registry: Registry, evaluation: Version, config: str) -> Decision:
    notes, champion = evaluation.manifest.notes, registry.champion()
    _check_compared(registry, champion, notes["champion"])
    decision = Decision(
        action=notes["action"],
        reason=notes["reason"],
        model=notes["challenger"],
        evaluation=evaluation.id,
        trigger=notes["trigger"],
        cause=notes["cause"],
        at=notes["last"],
        nights=tuple(notes["nights"]),
        decided_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return registry.decide(decision, champion, config=config)


def _check_compared(registry: Registry, champion: Champion | None, compared: str | None) -> None:
    now = champion.model if champion else None
    if now != compared:
        raise Conflict(
            str(registry.path),
            need=f"the champion that the challenger was compared with ({compared or 'none'})",
            got=f"{now or 'none'} in production",
            remedy="Run the evaluation again: it compares with the champion of now.",
        )
