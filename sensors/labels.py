"""Labels have arrived: join them with their night; say which are missing when their delay is over."""

import json
from datetime import timedelta
from pathlib import Path

import dagster as dg

from assets.attributes import daily
from kedge.settings import Settings
from kedge.source.arrival import look, waiting
from kedge.spec import Declaration
from kedge.spec.labels import contract
from sensors.arrivals import alert
from sensors.history import unfinished

TICK_SECONDS = 30


def sensor(declaration: Declaration) -> dg.SensorDefinition:
    """Sensor `<p>_labels_arrivals`: one run per labels file, and one more when its night is delivered again.

    A file waits for its night. Labels that are stored are joined anew when the rows they belong to have changed.
    """
    job = f"{declaration.name}_labels"

    @dg.sensor(
        name=f"{declaration.name}_labels_arrivals",
        job_name=job,
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks for labels and joins each complete file with the rows of its day.",
    )
    def _labels(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = Settings.from_environment()
        before = {"seen": {}, "pending": {}} | json.loads(context.cursor or "{}")
        arrivals, seen = look(contract(declaration), settings, before["seen"])
        alert(context, declaration.name, waiting(seen), waiting(before["seen"]))
        pending = before["pending"] | {found.partition: found.sha256 for found in arrivals}
        cursor = {"seen": seen, "pending": pending}
        if busy := unfinished(context.instance, job):
            return dg.SensorResult(skip_reason=f"waiting for the labels of {busy}", cursor=json.dumps(cursor))
        request = _next(settings, declaration, pending)
        if request is not None:
            return dg.SensorResult(run_requests=[request], cursor=json.dumps(cursor))
        held = [f"{Path(path).name}: {reason}" for path, reason in waiting(seen).items()]
        early = [f"{partition}: its night has not run yet" for partition in sorted(pending)]
        return dg.SensorResult(skip_reason="\n".join(["no new labels", *held, *early]), cursor=json.dumps(cursor))

    return _labels


def _next(settings: Settings, declaration: Declaration, pending: dict[str, str]) -> dg.RunRequest | None:
    """Request for the oldest labels that are not joined; takes them, and stored ones, off `pending`."""
    from kedge.labels.due import again, delivered, night
    from kedge.source.stored import current
    from kedge.workspace import Workspace

    workspace, days = Workspace.open(settings), daily(declaration)
    for partition in sorted(pending):
        rows = night(workspace, declaration, partition) if days.has_partition_key(partition) else None
        if rows is None:
            continue
        sha256 = pending.pop(partition)
        if delivered(workspace, declaration, partition):
            before = current(workspace, declaration, partition, "labels_raw")
            return dg.RunRequest(run_key=f"{partition}@{sha256} on {rows} after {before}", partition_key=partition)
    for partition, what in again(workspace, declaration):
        return dg.RunRequest(run_key=f"{partition}: {what}", partition_key=partition)
    return None


def schedule(declaration: Declaration) -> dg.ScheduleDefinition:
    """Schedule `<p>_labels_schedule`: reports labels that have not come within their delay; their arrival runs them."""
    assert declaration.labels is not None
    delay = timedelta(days=1 + declaration.labels.delay)

    @dg.schedule(
        name=f"{declaration.name}_labels_schedule",
        cron_schedule=declaration.partitions.cron,
        execution_timezone=declaration.partitions.timezone,
        job_name=f"{declaration.name}_labels",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Says when labels are overdue.",
    )
    def _overdue(context: dg.ScheduleEvaluationContext) -> dg.SkipReason:
        from kedge.labels.due import arrived, night
        from kedge.workspace import Workspace

        partition = (context.scheduled_execution_time - delay).date().isoformat()
        workspace = Workspace.open(Settings.from_environment())
        if partition < declaration.partitions.start.isoformat() or night(workspace, declaration, partition) is None:
            return dg.SkipReason(f"there is no night of {partition}")
        if arrived(workspace, declaration, partition):
            return dg.SkipReason(f"the labels of {partition} are there; their arrival runs them")
        context.log.error(f"ALERT {declaration.name}: the labels of {partition} are missing")
        return dg.SkipReason(f"ALERT: the labels of {partition} are missing")

    return _overdue
