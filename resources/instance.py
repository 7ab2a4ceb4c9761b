"""Dagster's own files under `KEDGE_HOME/dagster`: which storage, launcher and limits the local profile uses."""

import os
from pathlib import Path

import dagster as dg

from kedge.settings import Settings
from resources.sqlite import hasten

_DAGSTER_YAML = """\
# Written by kedge; edits are kept. Local profile: SQLite, runs forked from a warm process (docs/adr/0002).
telemetry:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: DefaultRunCoordinator
run_launcher:
  module: resources.launcher
  class: WarmRunLauncher
  config:
    max_concurrent_runs: 2
run_monitoring:
  enabled: true
  # Runs wait inside the run host, for as long as others take; the reaper finds those that nobody has (docs/adr/0008).
  start_timeout_seconds: 604800
  # For runs without the tag dagster/max_runtime: those of "Materialize" and of backfills.
  max_runtime_seconds: 86400
  poll_interval_seconds: 30
  max_resume_run_attempts: 0
retention:
  schedule: {purge_after_days: 90}
  sensor:
    purge_after_days: {skipped: 7, failure: 30, success: -1}
"""


def prepare(settings: Settings) -> Path:
    """Create `KEDGE_HOME/dagster` with its `dagster.yaml` unless it is there, and point `DAGSTER_HOME` at it."""
    hasten()
    folder = settings.dagster
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if not config.exists():
        config.write_text(_DAGSTER_YAML)
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def instance(settings: Settings) -> dg.DagsterInstance:
    """The Dagster instance that belongs to this `KEDGE_HOME`."""
    prepare(settings)
    return dg.DagsterInstance.get()
