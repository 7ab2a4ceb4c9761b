"""Which of an instance's runs are a pipeline's, and which have not ended."""

import dagster as dg

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def belongs(run: dg.DagsterRun, pipeline: str) -> bool:
    """Whether a run is of one of the pipeline's jobs or, started by "Materialize" or a backfill, of its assets."""
    if run.job_name in (f"{pipeline}_nightly", f"{pipeline}_retrain", f"{pipeline}_labels"):
        return True
    return any(key.path[0] == pipeline for key in run.asset_selection or ())
