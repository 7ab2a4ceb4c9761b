"""The Dagster resource that opens kedge's stored data."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from kedge.leases import hold
from kedge.settings import Settings
from resources.failures import shielded
from resources.profile import require_launcher

if TYPE_CHECKING:
    from kedge.registry.tracking import Tracking
    from kedge.spec import Declaration
    from kedge.workspace import Workspace

_STARTERS = {"dagster/sensor_name": "a sensor", "dagster/schedule_name": "the schedule"}


class Store(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the workspace named by the environment (`KEDGE_HOME`, `KEDGE_KEYS`, ...); holds no configuration itself.

    Resource configuration is shown in the UI as it is, so nothing of it lives here.
    """

    @contextmanager
    def stage(self, name: str, context: dg.AssetExecutionContext, declaration: "Declaration") -> Iterator["Workspace"]:
        """The workspace for one stage; what goes wrong inside becomes a Dagster failure without personal values.

        Whatever is written names the run, so that the loser of a race learns who won. While the stage lasts, this
        process holds the run's lease, should it not have it already: a pod, or a process of Dagster's own commands.
        Before it begins, the audit trail is told of a changed declaration and of what a killed run left open; after it
        has ended, the trail is anchored.
        """
        with shielded(name):
            from kedge.audit.anchored import anchored
            from kedge.settle import settle
            from kedge.workspace import Workspace

            settings = Settings.from_environment()
            require_launcher(settings.profile, context.instance)
            with hold(settings.leases, context.run.run_id):
                workspace = Workspace.open(settings, run=context.run.run_id, why=_why(context.run))
                with closing(workspace.trail):
                    settle(workspace, declaration.name)
                    workspace.trail.configured(declaration.name, declaration.digest)
                    with anchored(workspace.trail, declaration, settings.home):
                        yield workspace

    def tracking(self) -> "Tracking":
        """MLflow, where models are registered."""
        from kedge.registry.tracking import Tracking

        return Tracking.open(Settings.from_environment())


def _why(run: dg.DagsterRun) -> str:
    """The job, and what started it; never what a tag says, for people may write there what they like."""
    started = next((starter for tag, starter in _STARTERS.items() if tag in run.tags), "a person or a command")
    return f"{run.job_name}, started by {started}"
