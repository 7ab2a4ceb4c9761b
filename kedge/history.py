"""What the loop knows of its past: verdicts of nights from the lake, decisions from the registry."""

from collections.abc import Iterable
from itertools import islice

from kedge.registry.store import Registry
from kedge.retrain import NightVerdict, RetrainFacts, Retraining
from kedge.spec import Declaration
from kedge.workspace import Workspace

LOOK_BACK_NIGHTS = 60


def facts(workspace: Workspace, declaration: Declaration, undecided: Iterable[Retraining] = ()) -> RetrainFacts:
    """Facts for `kedge.retrain.decide`.

    Args:
        workspace: where the lake and the registry are.
        declaration: names the pipeline.
        undecided: retrainings that run, or that failed before they were decided; the orchestrator knows them.
    """
    registry = Registry.open(workspace, declaration.name)
    champion = registry.champion()
    decided = [
        Retraining(partition=past.at, cause=past.cause, ending="promoted" if past.promoted else "refused")
        for past in registry.history()
    ]
    return RetrainFacts(
        champion=champion.model if champion else None,
        since=champion.since if champion else None,
        nights=_verdicts(workspace, declaration),
        retrainings=[*decided, *undecided],
    )


def _verdicts(workspace: Workspace, declaration: Declaration) -> list[NightVerdict]:
    """Verdicts of the last nights, newest first; the sensor reads a bounded number of manifests."""
    reports = workspace.dataset(declaration.name, "drift_report")
    labels, found = workspace.dataset(declaration.name, "labels"), []
    for partition in islice(reversed(reports.partitions()), LOOK_BACK_NIGHTS):
        version = reports.current(partition)
        if version is not None:
            notes = version.manifest.notes
            labelled = not declaration.late or labels.current(partition) is not None
            found.append(
                NightVerdict(
                    partition=partition, drifted=notes["drifted"], champion=notes["champion"], labelled=labelled
                )
            )
    return found
