"""The schedule of the night."""

from datetime import timedelta

import dagster as dg

from kedge.settings import Settings
from kedge.spec import Declaration


def schedule(declaration: Declaration) -> dg.ScheduleDefinition:
    """Schedule `<p>_nightly`: starts the night of a replayed source; for files it only reports a missing delivery."""
    by_file = declaration.source.replay is None

    @dg.schedule(
        name=f"{declaration.name}_nightly_schedule",
        cron_schedule=declaration.partitions.cron,
        execution_timezone=declaration.partitions.timezone,
        job_name=f"{declaration.name}_nightly",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Says when yesterday's delivery is missing." if by_file else "Starts yesterday's night.",
    )
    def _nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = (context.scheduled_execution_time - timedelta(days=1)).date()
        yesterday = day.isoformat()
        if day < declaration.partitions.start:
            return dg.SkipReason(f"{yesterday} lies before partitions.start")
        if not by_file:
            return dg.RunRequest(run_key=yesterday, partition_key=yesterday)
        from kedge.source.stored import delivered
        from kedge.workspace import Workspace

        if delivered(Workspace.open(Settings.from_environment()), declaration, yesterday):
            return dg.SkipReason(f"the delivery of {yesterday} is there; its arrival starts the night")
        context.log.error(f"ALERT {declaration.name}: the delivery of {yesterday} is missing")
        return dg.SkipReason(f"ALERT: the delivery of {yesterday} is missing")

    return _nightly
