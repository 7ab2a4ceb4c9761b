"""Triggers: gather facts, ask kedge for a decision, answer with a run request or the reason to wait."""

import dagster as dg

from kedge.spec import Declaration
from sensors import access, alerts, arrivals, drift, labels, nightly


def build(declaration: Declaration) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:
    """Sensors and schedules of one declared pipeline."""
    sensors = [drift.sensor(declaration), alerts.sensor(declaration), access.sensor(declaration)]
    if declaration.source.replay is None:
        sensors.insert(0, arrivals.sensor(declaration))
    schedules = [nightly.schedule(declaration)]
    if declaration.late:
        sensors.append(labels.sensor(declaration))
        schedules.append(labels.schedule(declaration))
    return sensors, schedules
