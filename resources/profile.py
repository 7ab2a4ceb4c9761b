"""Where steps are executed: the executor of a profile, and the run launcher that it needs on the instance.

`KEDGE_PROFILE=local` runs all steps in the process that the run launcher gives them. `kubernetes` gives every step a
pod with the resources that `compute:` declares (deploy/k8s). Launcher and executor are chosen together: steps in pods
need dagster-k8s's launcher, and under that launcher one process for all steps would ignore what was declared.
"""

from typing import TYPE_CHECKING

import dagster as dg

from kedge.errors import Terminal

if TYPE_CHECKING:
    from kedge.settings import Profile

LAUNCHER = "K8sRunLauncher"
MAX_PODS = 4
"""Pods that one run's steps occupy at a time; a night has one path of steps, so this only bounds surprises."""


def executor(profile: "Profile") -> dg.ExecutorDefinition:
    """The executor of this profile; nothing of Kubernetes is imported for the local one."""
    if profile == "local":
        return dg.in_process_executor
    from dagster_k8s import k8s_job_executor

    pod = {"automount_service_account_token": False}  # a step talks to the lake and to Dagster's database only
    return k8s_job_executor.configured(
        {
            "max_concurrent": MAX_PODS,
            "service_account_name": "kedge-step",
            "step_k8s_config": {
                "job_spec_config": {"ttl_seconds_after_finished": 86_400, "backoff_limit": 0},
                "pod_spec_config": pod,
            },
        }
    )


def require_launcher(profile: "Profile", instance: dg.DagsterInstance) -> None:
    """Refuse a run launcher that does not belong to the profile.

    Raises:
        Terminal: `KEDGE_PROFILE` and the instance's `dagster.yaml` contradict each other.
    """
    found = type(instance.run_launcher).__name__
    if (found == LAUNCHER) == (profile == "kubernetes"):
        return
    raise Terminal(
        "KEDGE_PROFILE",
        need=f"{LAUNCHER} in dagster.yaml with the profile kubernetes, and another launcher with local",
        got=f"{profile} with {found}",
        remedy="Change KEDGE_PROFILE or run_launcher in dagster.yaml; deploy/k8s has both.",
    )
