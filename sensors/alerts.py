"""Somebody must look: failed runs, and failed checks, which Dagster by itself reports to nobody."""

import json
from typing import Literal, get_args

import dagster as dg
from dagster import DagsterEventType, RunStatusChangeRecordsFilter

from kedge.spec import Declaration
from resources.runs import belongs

TICK_SECONDS = 10
BATCH = 200
Ending = Literal[DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED, DagsterEventType.RUN_SUCCESS]
ENDINGS: tuple[Ending, ...] = get_args(Ending)


def sensor(declaration: Declaration) -> dg.SensorDefinition:
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
    """Alert lines of the runs that ended after `cursor`, and the cursor after them."""
    lines, after = [], dict(cursor)
    for ending in ENDINGS:
        ended = RunStatusChangeRecordsFilter(ending, after_storage_id=cursor.get(ending.value))
        for record in instance.fetch_run_status_changes(ended, limit=BATCH, ascending=True).records:
            after[ending.value] = record.storage_id
            run = instance.get_run_by_id(record.event_log_entry.run_id)
            if run is not None and belongs(run, pipeline):
                lines += _lines(instance, pipeline, run)
    return lines, after


def _lines(instance: dg.DagsterInstance, pipeline: str, run: dg.DagsterRun) -> list[str]:
    good = run.status == dg.DagsterRunStatus.SUCCESS
    lines = [] if good else [f"ALERT {pipeline}: run {run.run_id} of {run.job_name} ended as {run.status.value}"]
    for logged in instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION):
        if logged.dagster_event is None:
            continue
        check = logged.dagster_event.asset_check_evaluation_data
        if not check.passed:
            where = f"{check.asset_key.to_user_string()}, partition {check.partition or '-'}, run {run.run_id}"
            lines.append(f"ALERT {pipeline}: check {check.check_name} failed ({check.severity.value}; {where})")
    return lines
