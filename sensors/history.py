"""What Dagster knows about a job's past runs, as facts for a decision."""

import dagster as dg

from kedge.retrain import Ending, Retraining
from resources.cause import CAUSE, UNTIL
from resources.runs import UNFINISHED

LOOK_BACK_RUNS = 100


def unfinished(instance: dg.DagsterInstance, job: str) -> str | None:
    """Partition (or id) of a run of `job` that has not ended, if there is one."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1)
    if not records:
        return None
    run = records[0].dagster_run
    return run.tags.get("dagster/partition", run.run_id)


def undecided(instance: dg.DagsterInstance, job: str) -> list[Retraining]:
    """Retrainings that run, or that ended without a decision; those decided are in kedge's registry."""
    found = []
    for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=LOOK_BACK_RUNS):
        run = record.dagster_run
        if CAUSE not in run.tags or run.status == dg.DagsterRunStatus.SUCCESS:
            continue
        ending: Ending = "failed" if run.is_finished else "running"
        found.append(Retraining(partition=run.tags[UNTIL], cause=run.tags[CAUSE], ending=ending))
    return found
