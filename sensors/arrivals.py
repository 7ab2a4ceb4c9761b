"""A delivery has arrived: run its night."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets.attributes import daily
from kedge.settings import Settings
from kedge.source.arrival import GROWING, UNDATED, Arrival, look, waiting
from kedge.source.survey import ask
from kedge.spec import Declaration
from sensors.history import unfinished

TICK_SECONDS = 5
SURVEY_TRIES = 3
Cursor = dict[str, Any]


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
        before: Cursor = {"seen": {}, "pending": {}} | json.loads(context.cursor or "{}")
        arrived, seen = look(declaration, settings, before["seen"])
        cursor = before | {"seen": seen, "pending": before["pending"] | _by_name(arrived)}
        alert(context, declaration.name, waiting(seen), waiting(before["seen"]))
        looking = _survey(context, settings, declaration, arrived, cursor)
        if busy := unfinished(context.instance, job):
            return _wait(cursor, f"waiting for the night that runs: {busy}")
        request = _next(settings, declaration, cursor["pending"])
        if request is None:
            held = [f"{Path(path).name}: {reason}" for path, reason in waiting(seen).items()]
            return _wait(cursor, "\n".join(["no new delivery", *looking, *held, *_early(cursor["pending"])]))
        return dg.SensorResult(run_requests=[request], cursor=json.dumps(cursor))

    return _arrivals


def _by_name(arrived: Sequence[Arrival]) -> dict[str, str]:
    return {found.partition: found.sha256 for found in arrived if found.partition != UNDATED}


def _survey(
    context: dg.SensorEvaluationContext,
    settings: Settings,
    declaration: Declaration,
    arrived: Sequence[Arrival],
    cursor: Cursor,
) -> list[str]:
    """Put the nights that new files of a source with `date_column` hold on `pending`, once it is known which.

    Returns:
        what there is to say about it.
    """
    for found in arrived:
        if found.partition == UNDATED:
            cursor["survey"] = {"stamp": found.sha256, "tries": SURVEY_TRIES}
    asked = cursor.get("survey")
    if asked is None:
        return []
    told = ask(settings, declaration.name, asked["stamp"])
    if told is None:
        return ["looking which nights the files hold"]
    asked["tries"] -= 1
    if told.problem is None:
        cursor["pending"] = dict(told.fresh)
    elif not told.made and asked["tries"]:
        return [told.problem]
    cursor["survey"] = None
    if told.problem:
        context.log.error(f"ALERT {declaration.name}: the files are held back: {told.problem}")
        return [told.problem]
    if told.num_undated:
        context.log.error(f"ALERT {declaration.name}: {told.num_undated} of {told.num_rows} rows belong to no day")
    if early := [day for day in told.days if day < declaration.partitions.start.isoformat()]:
        context.log.warning(f"{declaration.name}: {len(early)} days before partitions.start are left out")
    return []


def _wait(cursor: Cursor, reason: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=json.dumps(cursor))


def alert(
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
    from kedge.source.stored import current, due
    from kedge.workspace import Workspace

    workspace, days = Workspace.open(settings), daily(declaration)
    for partition in sorted(pending):
        if not days.has_partition_key(partition):
            continue
        digest = pending.pop(partition)
        if due(workspace, declaration, partition, digest):
            before = current(workspace, declaration, partition)
            return dg.RunRequest(run_key=f"{partition}@{digest} after {before}", partition_key=partition)
    return None
