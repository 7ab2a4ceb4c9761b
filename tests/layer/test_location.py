"""What the code location is made of, and what loading it costs."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from assets import NIGHTLY, RETRAIN
from kedge.settings import Settings
from kedge.spec import SpecError, load
from pipelines.definitions import build

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("torch", "mlflow", "evidently", "great_expectations", "sklearn", "pandas", "kubernetes")
GOLDEN = Path(__file__).parent / "bank.json"


@pytest.fixture(scope="module")
def bank() -> dg.Definitions:
    return build(Settings.from_environment({"KEDGE_PIPELINES": str(ROOT / "pipelines")}))


def surface(definitions: dg.Definitions) -> dict[str, object]:
    """Keys, checks, jobs, sensors and schedules by name."""
    graph = definitions.resolve_asset_graph()
    return {
        "assets": {
            key.to_user_string(): sorted(parent.to_user_string() for parent in graph.get(key).parent_keys)
            for key in sorted(graph.get_all_asset_keys())
        },
        "checks": sorted(f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys),
        "jobs": sorted(job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")),
        "sensors": sorted(sensor.name for sensor in definitions.sensors or []),
        "schedules": sorted(schedule.name for schedule in definitions.schedules or []),
    }


def test_the_surface_of_the_bank_is_the_one_committed(bank: dg.Definitions) -> None:
    """A change of names is a visible change of a committed file: `python tests/layer/test_location.py` writes it."""
    assert surface(bank) == json.loads(GOLDEN.read_text())


def test_every_asset_says_what_it_is(bank: dg.Definitions) -> None:
    graph = bank.resolve_asset_graph()
    for name in (*NIGHTLY, *RETRAIN):
        node = graph.get(dg.AssetKey(["bank", name]))
        assert node.description
        assert node.group_name == "bank"
        assert node.owners == ["team:retention"]
        assert node.kinds
        assert (node.partitions_def is not None) == (name in NIGHTLY)


def test_loading_imports_no_heavy_library() -> None:
    loading = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import pipelines.definitions"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in loading.stderr.splitlines()}
    assert "dagster" in imported
    assert imported.isdisjoint(HEAVY)


def test_pipelines_of_one_location_share_no_key(tmp_path: Path) -> None:
    declared = (ROOT / "pipelines/bank/defs.yaml").read_text()
    for name in ("north", "south"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(declared)
    definitions = build(Settings.from_environment({"KEDGE_PIPELINES": str(tmp_path)}))
    keys = definitions.resolve_asset_graph().get_all_asset_keys()
    assert len(keys) == 2 * len(NIGHTLY + RETRAIN)
    assert {key.path[0] for key in keys} == {"north", "south"}


def test_a_mistake_names_file_line_and_remedy(tmp_path: Path) -> None:
    declared = (ROOT / "pipelines/bank/defs.yaml").read_text().replace("{prefix: 1}", "{prefix: none}")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/defs.yaml").write_text(declared)
    line = 1 + next(n for n, text in enumerate(declared.splitlines()) if "prefix: none" in text)
    with pytest.raises(SpecError) as mistake:
        build(Settings.from_environment({"KEDGE_PIPELINES": str(tmp_path)}))
    assert f"bank/defs.yaml:{line}" in str(mistake.value)
    assert "columns.zip.privacy" in str(mistake.value)


def test_deleting_a_rule_deletes_its_check(tmp_path: Path) -> None:
    declared = (ROOT / "pipelines/bank/defs.yaml").read_text()
    checks = []
    for name, text in (
        ("bank", declared),
        ("less", declared.replace("{type: integer, min: 0, max: 720}", "{type: integer, min: 0}")),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(text)
    graph = build(Settings.from_environment({"KEDGE_PIPELINES": str(tmp_path)})).resolve_asset_graph()
    for name in ("bank", "less"):
        checks.append({key.name for key in graph.asset_check_keys if key.asset_key == dg.AssetKey([name, "validated"])})
    assert checks[0] - checks[1] == {"tenure_months_max"}


def test_compute_goes_into_the_ops_tags_in_the_form_of_dagster_k8s(tmp_path: Path) -> None:
    declared = (ROOT / "pipelines/bank/defs.yaml").read_text() + "  compute: {training: {gpu: 1, memory: 16Gi}}\n"
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank/defs.yaml").write_text(declared)
    assert load(tmp_path / "bank/defs.yaml").compute
    job = build(Settings.from_environment({"KEDGE_PIPELINES": str(tmp_path)})).resolve_job_def("bank_retrain")
    tags = {node.name: dict(node.tags) for node in job.nodes}
    wanted = json.loads(tags["bank__model"]["dagster-k8s/config"])
    assert wanted["container_config"]["resources"] == {
        "requests": {"memory": "16Gi"},
        "limits": {"memory": "16Gi", "nvidia.com/gpu": "1"},
    }
    assert "dagster-k8s/config" not in tags["bank__champion"]


if __name__ == "__main__":
    committed = build(Settings.from_environment({"KEDGE_PIPELINES": str(ROOT / "pipelines")}))
    GOLDEN.write_text(json.dumps(surface(committed), indent=2) + "\n")
