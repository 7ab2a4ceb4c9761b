"""Runs that died without a word are found and ended."""

import json
from collections.abc import Collection

import dagster as dg

from kedge.leases import Watch
from kedge.settings import Settings
from resources.reaper import reap

TICK_SECONDS = 30


def sensor(pipelines: Collection[str]) -> dg.SensorDefinition:
    """Sensor `kedge_reaper`: marks runs failed whose process is gone; their pipeline's alerts tell of it."""

    @dg.sensor(
        name="kedge_reaper",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the lease of every unfinished run and ends those whose process is gone.",
    )
    def _reaper(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        watch = Watch.of_json(json.loads(context.cursor)) if context.cursor else None
        lines, watch = reap(context.instance, Settings.from_environment(), pipelines, watch)
        context.update_cursor(json.dumps(watch.as_json()))
        return dg.SkipReason("\n".join(lines) or "no dead run")

    return _reaper
