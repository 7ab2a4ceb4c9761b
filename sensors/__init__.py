"""Triggers: gather facts, ask kedge for a decision, answer with a run request or the reason to wait."""

import dagster as dg

from kedge.spec import Declaration
from sensors.alerts import alerts
from sensors.arrivals import arrivals
from sensors.drift import drift
from sensors.nightly import nightly

__all__ = ["build"]


def build(declaration: Declaration) -> tuple[list[dg.SensorDefinition], list[dg.ScheduleDefinition]]:
    """Sensors and schedules of one declared pipeline."""
    sensors = [drift(declaration), alerts(declaration)]
    if declaration.source.replay is None:
        sensors.insert(0, arrivals(declaration))
    return sensors, [nightly(declaration)]
