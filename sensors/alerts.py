"""Somebody must look: failed runs, and failed checks, which Dagster by itself reports to nobody."""

import json

import dagster as dg
from dagster import DagsterEventType, EventRecordsFilter

from kedge.spec import Declaration

TICK_SECONDS = 10
BATCH = 200


def alerts(declaration: Declaration) -> dg.SensorDefinition:
    """Sensor `<p>_alerts`: one line in the log per failed run and per failed check, each once."""

    @dg.sensor(
        name=f"{declaration.name}_alerts",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Writes an alert to the log for each failed run and each failed check.",
    )
    def _alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        cursor = json.loads(context.cursor) if context.cursor else {}
        lines, cursor = _since(context.instance, declaration.name, cursor)
        for line in lines:
            context.log.error(line)
        context.update_cursor(json.dumps(cursor))
        return dg.SkipReason("\n".join(lines) or "nothing has failed")

    return _alerts


def _since(instance: dg.DagsterInstance, pipeline: str, cursor: dict[str, int]) -> tuple[list[str], dict[str, int]]:
    """Alert lines for what failed after `cursor`, and the cursor after them."""
    lines, after = [], dict(cursor)
    for event_type in (DagsterEventType.RUN_FAILURE, DagsterEventType.ASSET_CHECK_EVALUATION):
        records = instance.get_event_records(
            EventRecordsFilter(event_type, after_cursor=cursor.get(event_type.value)), limit=BATCH, ascending=True
        )
        for record in records:
            after[event_type.value] = record.storage_id
            if line := _line(record.event_log_entry, pipeline):
                lines.append(line)
    return lines, after


def _line(entry: dg.EventLogEntry, pipeline: str) -> str | None:
    event = entry.dagster_event
    if event is None:
        return None
    if event.event_type == DagsterEventType.RUN_FAILURE:
        ours = (event.job_name or "").startswith(f"{pipeline}_")
        return f"ALERT {pipeline}: run {entry.run_id} of {event.job_name} failed" if ours else None
    check = event.asset_check_evaluation_data
    if check.passed or check.asset_key.path[0] != pipeline:
        return None
    return (
        f"ALERT {pipeline}: check {check.check_name} of {check.asset_key.to_user_string()} failed "
        f"({check.severity.value}, partition {check.partition or '-'}, run {entry.run_id})"
    )
