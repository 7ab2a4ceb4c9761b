"""Somebody should look: access to stored data that is unusual for who, when or how much."""

import json

import dagster as dg

from kedge.errors import KedgeError
from kedge.settings import Settings
from kedge.spec import Declaration

TICK_SECONDS = 30


def sensor(declaration: Declaration) -> dg.SensorDefinition:
    """Sensor `<p>_access`: one line in the log per unusual access, each once; it writes nothing into the trail."""

    @dg.sensor(
        name=f"{declaration.name}_access",
        minimum_interval_seconds=TICK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads new entries of the audit trail and writes an alert to the log for each unusual access.",
    )
    def _access(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        from kedge.audit.access import look

        cursor = {"entry": 0, "broken": ""} | json.loads(context.cursor or "{}")
        try:
            found = look(Settings.from_environment().audit / declaration.name, declaration, cursor["entry"])
            lines, after = list(map(str, found.alerts)), {"entry": found.entry, "broken": ""}
        except KedgeError as error:
            lines, after = [str(error)], {**cursor, "broken": str(error)}
        if not after["broken"] or after["broken"] != cursor["broken"]:
            for line in lines:
                context.log.error(f"ALERT {declaration.name}: access {line}")
        context.update_cursor(json.dumps(after))
        return dg.SkipReason("\n".join(lines) or "nothing unusual")

    return _access
