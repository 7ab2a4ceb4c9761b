"""A delivery has arrived: run its night."""

import json

import dagster as dg

from kedge.settings import Settings
from kedge.source.arrival import look
from kedge.spec import Declaration
from sensors.history import unfinished

TICK_SECONDS = 5


def sensor(declaration: Declaration) -> dg.SensorDefinition:
    """Sensor `<p>_arrivals`: one nightly run per delivery, one after the other.

    Nights run in order, since the drift of one is judged before the next; a run key names partition and content, so
    that the same bytes twice change nothing and other bytes for a known day run it again.
    """
    job = f"{declaration.name}_nightly"

    @dg.sensor(
        name=f"{declaration.name}_arrivals",
        job_name=job,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for deliveries and starts the night of each that is complete, oldest first.",
    )
    def _arrivals(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = Settings.from_environment()
        cursor = json.loads(context.cursor) if context.cursor else {"seen": {}, "pending": {}}
        arrived, cursor["seen"] = look(declaration, settings, cursor["seen"])
        cursor["pending"] |= {found.partition: found.sha256 for found in arrived}
        if busy := unfinished(context.instance, job):
            return _wait(cursor, f"waiting for the night that runs: {busy}")
        request = _next(settings, declaration, cursor["pending"])
        if request is None:
            return _wait(cursor, "no new delivery")
        return dg.SensorResult(run_requests=[request], cursor=json.dumps(cursor))

    return _arrivals


def _wait(cursor: dict[str, dict[str, str]], reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=json.dumps(cursor))


def _next(settings: Settings, declaration: Declaration, pending: dict[str, str]) -> dg.RunRequest | None:
    """Request for the oldest pending delivery that is not stored yet; takes it, and stored ones, off `pending`."""
    if not pending:
        return None
    from kedge.source.stored import stored
    from kedge.workspace import Workspace

    workspace = Workspace.open(settings)
    for partition in sorted(pending):
        sha256 = pending.pop(partition)
        if not stored(workspace, declaration, partition):
            return dg.RunRequest(run_key=f"{partition}@{sha256}", partition_key=partition)
    return None
