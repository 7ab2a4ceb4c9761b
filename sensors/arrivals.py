"""A delivery has arrived: run its night."""

import json
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from assets.attributes import daily
from kedge.settings import Settings
from kedge.source.arrival import GROWING, look, waiting
from kedge.source.calendar import delivery_path
from kedge.spec import Declaration
from sensors.history import unfinished

TICK_SECONDS = 5


def sensor(declaration: Declaration) -> dg.SensorDefinition:
    """Sensor `<p>_arrivals`: one nightly run per delivery, one after the other.

    Nights run in order, since the drift of one is judged before the next. A run key names the partition, the content
    and the version it replaces: the same bytes twice change nothing, other bytes for a known day run it again, and so
    do the first ones when they come back.
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
        arrived, seen = look(declaration, settings, cursor["seen"])
        pending = cursor["pending"] | {found.partition: found.sha256 for found in arrived}
        _alert(context, declaration.name, waiting(seen), waiting(cursor["seen"]))
        cursor = {"seen": seen, "pending": pending}
        if busy := unfinished(context.instance, job):
            return _wait(cursor, f"waiting for the night that runs: {busy}")
        request = _next(settings, declaration, pending)
        if request is None:
            held = [f"{Path(path).name}: {reason}" for path, reason in waiting(seen).items()]
            return _wait(cursor, "\n".join(["no new delivery", *held, *_early(pending)]))
        return dg.SensorResult(run_requests=[request], cursor=json.dumps(cursor))

    return _arrivals


def _wait(cursor: dict[str, dict[str, str]], reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=json.dumps(cursor))


def _alert(
    context: dg.SensorEvaluationContext, pipeline: str, now: Mapping[str, str], before: Mapping[str, str]
) -> None:
    """One line in the log for each file that is held back for a new reason; growing files are no reason yet."""
    for path, reason in now.items():
        if before.get(path) != reason and reason != GROWING:
            context.log.error(f"ALERT {pipeline}: {Path(path).name} is held back: {reason}")


def _early(pending: Mapping[str, str]) -> list[str]:
    return [f"{partition}: its day has not ended yet" for partition in sorted(pending)]


def _next(settings: Settings, declaration: Declaration, pending: dict[str, str]) -> dg.RunRequest | None:
    """Request for the oldest pending delivery that is not stored yet; takes it, and stored ones, off `pending`.

    Deliveries for a day that has not ended stay pending: Dagster has no partition for it yet.
    """
    if not pending:
        return None
    from kedge.source.stored import current, stored
    from kedge.workspace import Workspace

    workspace, days = Workspace.open(settings), daily(declaration)
    for partition in sorted(pending):
        if not days.has_partition_key(partition):
            continue
        sha256 = pending.pop(partition)
        if delivery_path(declaration, settings, partition).exists() and not stored(workspace, declaration, partition):
            before = current(workspace, declaration, partition)
            return dg.RunRequest(run_key=f"{partition}@{sha256} after {before}", partition_key=partition)
    return None
