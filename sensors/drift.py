"""Drift that stays asks for a retraining."""

import dagster as dg

from kedge.retrain import RetrainPolicy, decide
from kedge.settings import Settings
from kedge.spec import Declaration
from resources.cause import Cause
from sensors.history import undecided, unfinished

TICK_SECONDS = 5


def sensor(declaration: Declaration) -> dg.SensorDefinition:
    """Sensor `<p>_drift`: reads the verdicts of the drift reports and asks kedge whether to retrain."""
    job = f"{declaration.name}_retrain"

    @dg.sensor(
        name=f"{declaration.name}_drift",
        job_name=job,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for a retraining when drift lasts as long as the declared patience; one per cause.",
    )
    def _drift(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from kedge.history import facts
        from kedge.workspace import Workspace

        if busy := unfinished(context.instance, f"{declaration.name}_nightly"):
            return dg.SkipReason(f"waiting for the night that runs: {busy}")
        workspace = Workspace.open(Settings.from_environment())
        known = facts(workspace, declaration, undecided(context.instance, job))
        decision = decide(known, RetrainPolicy.of(declaration))
        if decision.action != "retrain" or decision.cause is None:
            return dg.SkipReason(decision.reason)
        cause = Cause(cause=decision.cause, trigger="sensor", until=decision.until, episode=decision.episode)
        return dg.RunRequest(run_key=decision.cause, tags=cause.tags())

    return _drift
