"""deploy/k8s: the manifests and the pods that its launcher and executor make, against Kubernetes' published schemas."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

from kedge.errors import Terminal
from kedge.settings import Settings
from resources.profile import executor, require_launcher
from tests.deploy.cluster import Cluster, cluster

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy/k8s"
VERSIONS = ("1.30", "1.34", "1.37")
DECLARED = """\
type: pipelines.component.TrainingPipeline
attributes:
  partitions: {start: 2026-01-01}
  source: {files: "{date}.csv"}
  columns:
    age: {type: integer}
    left: {type: bool, role: target}
  compute:
    anonymized: {cpu: 2, memory: 6Gi}
    model: {gpu: 1, memory: 16Gi}
"""


def _objects() -> Iterator[dict[str, Any]]:
    for file in sorted(K8S.glob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield from yaml.safe_load_all(file.read_text())


OBJECTS = {f"{one['kind']}-{one['metadata']['name']}": one for one in _objects()}


def _dagster_yaml() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(OBJECTS["ConfigMap-kedge-dagster"]["data"]["dagster.yaml"])
    return found


@pytest.mark.parametrize("name", OBJECTS)
def test_manifests_keep_the_published_schema(name: str) -> None:
    assert [kubernetes_validate.validate(OBJECTS[name], version, strict=True) for version in VERSIONS] == list(VERSIONS)


def test_a_wrong_manifest_is_noticed() -> None:
    wrong = OBJECTS["Deployment-kedge-code"] | {"replicas": 1}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_every_file_is_applied() -> None:
    listed = yaml.safe_load((K8S / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(file.name for file in K8S.glob("*.yaml"))


def test_names_lead_to_something() -> None:
    """Every claim, ConfigMap and account that a pod or the launcher names is there; only the secret is yours."""
    launcher = _dagster_yaml()["run_launcher"]["config"]
    pods = [one["spec"]["template"]["spec"] for one in OBJECTS.values() if one["kind"] == "Deployment"]
    claims = {
        v["persistentVolumeClaim"]["claimName"] for p in pods for v in p["volumes"] if "persistentVolumeClaim" in v
    }
    claims |= {v["persistentVolumeClaim"]["claimName"] for v in launcher["volumes"] if "persistentVolumeClaim" in v}
    assert claims == {"kedge-home", "kedge-keys", "kedge-data"}
    assert {f"PersistentVolumeClaim-{name}" for name in claims} <= set(OBJECTS)
    accounts = {pod["serviceAccountName"] for pod in pods} | {launcher["service_account_name"], "kedge-step"}
    assert {f"ServiceAccount-{name}" for name in accounts} <= set(OBJECTS)
    configs = {*launcher["env_config_maps"], launcher["instance_config_map"]}
    assert {f"ConfigMap-{name}" for name in configs} <= set(OBJECTS)
    assert launcher["env_secrets"] == ["kedge-secrets"]


def test_keys_lie_outside_of_home() -> None:
    settings = Settings.from_environment(OBJECTS["ConfigMap-kedge-settings"]["data"])
    assert settings.profile == "kubernetes"
    assert not settings.keys.is_relative_to(settings.home)


def test_dagster_takes_the_instance_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "USER", "PASSWORD", "DB"):
        monkeypatch.setenv(f"KEDGE_PG_{name}", "x")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(_dagster_yaml()))
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["run_launcher"]["class"] == "K8sRunLauncher"
    assert config["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"


def test_launcher_and_executor_are_chosen_together() -> None:
    assert executor("local") is dg.in_process_executor
    assert executor("kubernetes").name == "k8s"
    with dg.DagsterInstance.ephemeral() as local:
        require_launcher("local", local)
        with pytest.raises(Terminal, match=r"KEDGE_PROFILE: needs K8sRunLauncher .*; got kubernetes with"):
            require_launcher("kubernetes", local)
    with pytest.raises(Terminal, match="KEDGE_PROFILE: needs local or kubernetes"):
        Settings.from_environment({"KEDGE_PROFILE": "k8s"})


# In a process of its own: the environment decides which executor the definitions have.
LAUNCH = """
import sys
import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableRepository

name, asset, *partition = sys.argv[1:]
location = ReconstructableRepository.for_module("pipelines.definitions", "defs", container_image="kedge:0.1.0")
job, instance = location.get_reconstructable_job(name), dg.DagsterInstance.get()
run = instance.create_run_for_job(job.get_definition(), job_code_origin=job.get_python_origin())
instance.launch_run(run.run_id, workspace=None)
tags = {"dagster/partition": partition[0]} if partition else {}
dg.execute_job(job, instance=instance, asset_selection=[dg.AssetKey(["bank", asset])], tags=tags)
"""
JOBS = (("bank_nightly", "anonymized", "2026-01-01"), ("bank_retrain", "model"))
SECONDS = 60


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Jobs that the API server is sent: run pods of both jobs, and the step pods of two assets."""
    folder = tmp_path_factory.mktemp("k8s")
    (folder / "pipelines/bank").mkdir(parents=True)
    (folder / "pipelines/bank/defs.yaml").write_text(DECLARED)
    with cluster() as api, ExitStack() as running:
        _write_instance(folder, api)
        env = OBJECTS["ConfigMap-kedge-settings"]["data"] | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DAGSTER_HOME": str(folder),
            "KEDGE_PIPELINES": str(folder / "pipelines"),
            "DAGSTER_CURRENT_IMAGE": "kedge:0.1.0",
        }
        for number, job in enumerate(JOBS, 1):
            log = running.enter_context((folder / f"{number}.log").open("wb"))
            process = subprocess.Popen([sys.executable, "-c", LAUNCH, *job], env=env, cwd=ROOT, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.kill)  # it would wait for its step, which nobody runs here
            deadline = time.monotonic() + SECONDS
            while len(api.jobs) < 2 * number:
                assert process.poll() is None, (folder / f"{number}.log").read_text()
                assert time.monotonic() < deadline, "a run pod and a step pod must have been asked for"
                time.sleep(0.05)
    return api.jobs


def _write_instance(folder: Path, api: Cluster) -> None:
    """The instance of deploy/k8s, but for the database and the way to the API server."""
    config = _dagster_yaml()
    for part in ("storage", "local_artifact_storage", "compute_logs"):
        config.pop(part)
    reach = {"load_incluster_config": False, "kubeconfig_file": str(api.kubeconfig(folder / "kubeconfig"))}
    config["run_launcher"]["config"] |= reach
    (folder / "dagster.yaml").write_text(yaml.safe_dump(config))


def _step(sent: dict[str, dict[str, Any]], op: str) -> dict[str, Any]:
    (found,) = (job for job in sent.values() if job["metadata"]["labels"].get("dagster/op") == op)
    return found


def test_every_job_that_is_sent_keeps_the_published_schema(sent: dict[str, dict[str, Any]]) -> None:
    components = sorted(job["metadata"]["labels"]["app.kubernetes.io/component"] for job in sent.values())
    assert components == ["run_worker", "run_worker", "step_worker", "step_worker"]
    for job in sent.values():
        for version in VERSIONS:
            kubernetes_validate.validate(job, version, strict=True)


@pytest.mark.parametrize("name", ["webserver", "daemon"])
def test_what_people_reach_and_what_only_asks_holds_neither_keys_nor_deliveries(name: str) -> None:
    """Declarations, sensors and runs are the code server's and the run pods'; a login that fails opens no key ring."""
    pod = OBJECTS[f"Deployment-kedge-{name}"]["spec"]["template"]["spec"]
    claims = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    assert claims == {"kedge-home"}
    (container,) = pod["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_a_step_gets_what_compute_declares(sent: dict[str, dict[str, Any]]) -> None:
    (anonymized,) = _step(sent, "bank__anonymized")["spec"]["template"]["spec"]["containers"]
    (model,) = _step(sent, "bank__model")["spec"]["template"]["spec"]["containers"]
    assert anonymized["resources"] == {"requests": {"cpu": "2", "memory": "6Gi"}, "limits": {"memory": "6Gi"}}
    assert model["resources"] == {
        "requests": {"cpu": "500m", "memory": "16Gi"},
        "limits": {"memory": "16Gi", "nvidia.com/gpu": "1"},
    }


def test_pods_have_the_same_image_places_and_few_rights(sent: dict[str, dict[str, Any]]) -> None:
    for job in sent.values():
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "kedge:0.1.0"
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {
            "/kedge/home",
            "/kedge/keys",
            "/kedge/data",
        }
        assert {"configMapRef": {"name": "kedge-settings"}} in container["envFrom"]
        assert {"secretRef": {"name": "kedge-secrets"}} in container["envFrom"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert job["spec"]["backoffLimit"] == 0
        is_step = job["metadata"]["labels"]["app.kubernetes.io/component"] == "step_worker"
        assert pod["serviceAccountName"] == ("kedge-step" if is_step else "kedge-run")
        assert pod["automountServiceAccountToken"] is not is_step


def test_a_training_has_its_room_on_a_disk_and_not_in_the_pods_memory(sent: dict[str, dict[str, Any]]) -> None:
    """It copies its training set there; where home is another file system, files get no second name."""
    for job in sent.values():
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        (place,) = (entry["value"] for entry in container["env"] if entry["name"] == "TMPDIR")
        (name,) = (mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == place)
        (volume,) = (volume for volume in pod["volumes"] if volume["name"] == name)
        assert "medium" not in volume["emptyDir"]


def test_a_mount_leaves_the_modes_of_keys_as_they_are(sent: dict[str, dict[str, Any]]) -> None:
    """A group that may read them would make kedge refuse the ring."""
    pods = [job["spec"]["template"]["spec"] for job in sent.values()]
    pods += [one["spec"]["template"]["spec"] for one in OBJECTS.values() if one["kind"] == "Deployment"]
    assert {pod["securityContext"]["fsGroupChangePolicy"] for pod in pods} == {"OnRootMismatch"}


def test_no_secret_stands_in_a_job(sent: dict[str, dict[str, Any]]) -> None:
    """The password is read from the secret by the pod; only the reference is sent."""
    names = {
        entry["name"] for job in sent.values() for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    assert "DAGSTER_HOME" in names
    assert not [name for name in names if "PASSWORD" in name or "KEDGE_PG" in name]
