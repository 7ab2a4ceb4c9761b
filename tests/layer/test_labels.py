"""Outcomes that arrive later, from the delivery to the model in production, through Dagster."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets import LABELS, NIGHTLY, RETRAIN
from assets.columns import metadata
from kedge.labels.label import label
from kedge.lake import ALL, Version, raw_ancestor
from kedge.registry.store import Registry
from kedge.settings import Settings
from kedge.spec import Declaration, load
from kedge.status import status
from kedge.testing.bank import Bank
from kedge.testing.delivery import drop
from kedge.testing.known import hold_out
from kedge.testing.planted import plant, search
from kedge.training.nights import STALE, UNLABELLED
from kedge.training.training_set import assemble
from kedge.workspace import Workspace
from pipelines.definitions import build
from resources.instance import instance
from sensors import labels as triggers

ROOT = Path(__file__).parent.parent.parent
NAME, ON, TARGET = "latebank", "customer_id", "left"


@pytest.fixture
def late(places: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The bank's pipeline with `left` from the labels."""
    text = (ROOT / "pipelines/bank/defs.yaml").read_text()
    target = "left:          {type: bool, role: target}"
    assert target in text
    text = text.replace(target, "left:          {type: bool, role: target, from: labels}")
    text = text.replace('{date}.csv"}\n', '{date}.csv"}\n  labels: {files: "labels/{date}.csv", on: [customer_id]}\n')
    (tmp_path / "pipelines" / NAME).mkdir(parents=True)
    (tmp_path / "pipelines" / NAME / "defs.yaml").write_text(text)
    monkeypatch.setenv("KEDGE_PIPELINES", str(tmp_path / "pipelines"))
    return Settings.from_environment()


@pytest.fixture
def declaration(late: Settings) -> Declaration:
    return load(late.pipelines / NAME / "defs.yaml")


class Pipeline:
    """The jobs of the late bank, run in this process."""

    def __init__(self, settings: Settings, declaration: Declaration, dagster: dg.DagsterInstance) -> None:
        self.settings, self.declaration, self.dagster = settings, declaration, dagster
        self.definitions = build(settings)
        self.ws = Workspace.open(settings)

    def run(self, job: str, night: str | None = None) -> dg.ExecuteInProcessResult:
        found = self.definitions.resolve_job_def(f"{NAME}_{job}")
        return found.execute_in_process(instance=self.dagster, raise_on_error=False, partition_key=night)

    def current(self, dataset: str, partition: str = ALL) -> Version:
        version = self.ws.dataset(NAME, dataset).current(partition)
        assert version is not None
        return version


@pytest.fixture
def pipeline(late: Settings, declaration: Declaration) -> Iterator[Pipeline]:
    hold_out(late, NAME)
    with instance(late) as dagster:
        yield Pipeline(late, declaration, dagster)


def _deliver(frame: pl.DataFrame, settings: Settings, night: str) -> None:
    drop(frame.drop(TARGET), settings.data / "inbox" / f"{night}.csv")


def _label(frame: pl.DataFrame, settings: Settings, night: str, *more: Mapping[str, str]) -> None:
    """The outcomes of a night, in another order, with further rows."""
    rows = frame.select(ON, TARGET).sample(fraction=1, shuffle=True, seed=1)
    further = pl.DataFrame(more, schema=rows.schema) if more else rows.clear()
    drop(pl.concat([rows, further]), settings.data / "labels" / f"{night}.csv")


def test_the_location_has_the_labels_and_nightly_does_not_wait_for_them(pipeline: Pipeline) -> None:
    graph = pipeline.definitions.resolve_asset_graph()
    key = dg.AssetKey([NAME, "labels"])
    assert graph.get(key).parent_keys == {dg.AssetKey([NAME, "validated"])}
    assert key in graph.get(dg.AssetKey([NAME, "training_set"])).parent_keys
    assert LABELS == ("labels",)
    assert "labels" not in (*NIGHTLY, *RETRAIN)
    assert {job.name for job in pipeline.definitions.resolve_all_job_defs()} >= {f"{NAME}_labels", f"{NAME}_nightly"}
    names = {name.name for name in graph.asset_check_keys if name.asset_key == key}
    assert {"left_type", "customer_id_not_null", "labels_agree", "labels_present", "gx_agrees"} <= names
    assert "left_type" not in {name.name for name in graph.asset_check_keys if name.asset_key.path[-1] == "validated"}


def test_columns_say_where_they_come_from(declaration: Declaration) -> None:
    found = metadata(declaration, "labels")
    assert [(column.name, column.type) for column in found["dagster/column_schema"].columns] == [(TARGET, "bool")]
    (dependency,) = found["dagster/column_lineage"].deps_by_column[TARGET]
    assert (dependency.asset_key, dependency.column_name) == (dg.AssetKey([NAME, "validated"]), ON)
    for dataset in ("raw", "validated", "quarantine", "anonymized"):
        columns = {column.name for column in metadata(declaration, dataset)["dagster/column_schema"].columns}
        assert TARGET not in columns
        assert ON in columns


def test_nights_labels_and_a_model_in_production(pipeline: Pipeline, bank: Bank) -> None:
    settings = pipeline.settings
    frames = {night.date.isoformat(): night.frame for night in map(bank.night, (1, 2, 5, 8, 9))}
    first, second, third, fourth, fifth = sorted(frames)
    for night, frame in frames.items():
        _deliver(frame, settings, night)
        assert pipeline.run("nightly", night).success
    assert "left" not in pipeline.current("anonymized", first).scan().collect_schema()

    stayed = frames[second].filter(pl.col(TARGET) == "false")[ON].head(12)
    for night in (first, second, third):
        more = [{ON: one, TARGET: "true"} for one in (*stayed, "nobody")] if night == second else []
        _label(frames[night], settings, night, *more)
        assert pipeline.run("labels", night).success
    facts = pipeline.current("labels", second).manifest.facts
    assert (facts["contradicting"], facts["unmatched"], facts["quarantined"]) == (24, 1, 24)
    truth = frames[first].with_row_index("_row").with_columns(pl.col("_row").cast(pl.UInt64))
    both = pipeline.current("labels", first).scan().collect().join(truth, on="_row", suffix="_sent")
    assert both.height > 900
    assert (both["left"].cast(pl.String) == both["left_sent"]).all()

    result = pipeline.run("retrain")
    assert result.success
    notes = pipeline.current("training_set").manifest.notes
    assert sorted(notes["nights"]) == sorted(notes["labels"]) == [first, second, third]
    assert notes["skipped"][fourth] == notes["skipped"][fifth] == UNLABELLED
    inputs = pipeline.current("training_set").manifest.inputs
    assert inputs[f"labels/{second}"] == pipeline.current("labels", second).id
    model = pipeline.current("model").manifest
    assert model.facts["rows_train"] > 1_000
    assert 1 <= model.facts["rows_without_outcome"] <= 12  # rows of contradicting labels, but for those held out
    champion = Registry.open(pipeline.ws, NAME).champion()
    assert champion is not None, pipeline.current("evaluation").manifest.notes["reason"]
    assert pipeline.current("evaluation").manifest.notes["sets"]["trusted"]["challenger"]["auc"]["value"] > 0.7

    assert pipeline.run("nightly", fifth).success
    scored = pipeline.current("predictions", fifth)
    report = pipeline.current("drift_report", fifth).manifest
    assert scored.manifest.rows == pipeline.current("anonymized", fifth).manifest.rows
    assert report.notes["columns"]["left"]["value"] is None
    assert report.notes["columns"]["(prediction)"]["value"] is not None

    _label(frames[fifth], settings, fifth)
    assert pipeline.run("labels", fifth).success
    assert pipeline.run("nightly", fifth).success
    later = pipeline.current("drift_report", fifth).manifest
    assert later.inputs["labels"] == pipeline.current("labels", fifth).id
    assert later.notes["columns"]["left"]["value"] is not None
    assert pipeline.current("predictions", fifth).id == scored.id

    _deliver(frames[first].head(950), settings, first)
    assert pipeline.run("nightly", first).success
    found = {night["partition"]: night["labelled"] for night in status(pipeline.ws, pipeline.declaration)["partitions"]}
    assert found[first] is None
    assert found[second] == pipeline.current("labels", second).manifest.rows
    stale = assemble(pipeline.ws, pipeline.declaration, cause="asked for", trigger="test").notes
    assert stale["skipped"][first] == STALE
    assert pipeline.run("labels", first).success
    assert raw_ancestor(pipeline.current("labels", first)) == pipeline.current("raw", first).id
    fresh = assemble(pipeline.ws, pipeline.declaration, cause="asked for", trigger="test").notes
    assert sorted(fresh["nights"]) == [first, second, third, fifth]


def test_without_any_labels_a_retraining_says_so(pipeline: Pipeline, bank: Bank) -> None:
    night = bank.night(1)
    _deliver(night.frame, pipeline.settings, night.date.isoformat())
    assert pipeline.run("nightly", night.date.isoformat()).success
    result = pipeline.run("retrain")
    assert not result.success
    (failure,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert "that has labels; got none" in str(failure.user_failure_data)


def test_a_labels_file_waits_for_its_night_and_is_asked_for_once(pipeline: Pipeline, bank: Bank) -> None:
    settings, night = pipeline.settings, bank.night(1)
    day, sensor = night.date.isoformat(), triggers.sensor(pipeline.declaration)

    def tick(cursor: str | None) -> dg.SensorResult:
        with (
            dg.DagsterInstance.ephemeral() as idle,
            dg.build_sensor_context(instance=idle, cursor=cursor) as context,
        ):
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    _label(night.frame, settings, day)
    early = tick(None)
    assert f"{day}: its night has not run yet" in str(early.skip_reason)
    _deliver(night.frame, settings, day)
    assert pipeline.run("nightly", day).success
    there = tick(early.cursor)
    (request,) = there.run_requests or []
    assert request.partition_key == day
    assert pipeline.run("labels", day).success
    assert not tick(there.cursor).run_requests
    assert not tick(None).run_requests, "a sensor that starts anew finds them in the lake"
    _deliver(night.frame.head(900), settings, day)
    assert pipeline.run("nightly", day).success
    (again,) = tick(there.cursor).run_requests or []
    assert again.run_key != request.run_key


def test_labels_that_somebody_took_meanwhile_are_asked_for_no_more(pipeline: Pipeline, bank: Bank) -> None:
    """With `after: delete` their file has gone when the sensor looks; it goes on with the next."""
    settings, (first, second) = pipeline.settings, (bank.night(1), bank.night(2))
    declared = pipeline.declaration.labels
    assert declared is not None
    declaration = pipeline.declaration.model_copy(update={"labels": declared.model_copy(update={"after": "delete"})})
    days = [night.date.isoformat() for night in (first, second)]
    pending = json.dumps({"seen": {}, "pending": dict.fromkeys(days, "")})
    for night, day in zip((first, second), days, strict=True):
        _deliver(night.frame, settings, day)
        assert pipeline.run("nightly", day).success
        _label(night.frame, settings, day)
    path = settings.data / "labels" / f"{days[0]}.csv"
    again = path.read_bytes()
    label(pipeline.ws, declaration, days[0])
    assert not path.exists()

    def asked() -> list[str | None]:
        with (
            dg.DagsterInstance.ephemeral() as idle,
            dg.build_sensor_context(instance=idle, cursor=pending) as context,
        ):
            result = triggers.sensor(declaration)(context)
        assert isinstance(result, dg.SensorResult)
        return [request.partition_key for request in result.run_requests or []]

    assert asked() == days[1:]
    path.write_bytes(again)
    assert asked() == days[:1], "sent again, it is tidied away again"
    assert not label(pipeline.ws, declaration, days[0]).labels.written
    assert not path.exists()


def test_overdue_labels_are_reported(pipeline: Pipeline, bank: Bank) -> None:
    night, schedule = bank.night(1), triggers.schedule(pipeline.declaration)
    day = night.date.isoformat()

    def tick() -> str:
        at = datetime.fromisoformat(f"{day}T02:00:00+01:00") + timedelta(days=2)
        with dg.build_schedule_context(scheduled_execution_time=at) as context:
            return str(schedule(context).skip_message)

    assert "there is no night" in tick()
    _deliver(night.frame, pipeline.settings, day)
    assert pipeline.run("nightly", day).success
    assert tick() == f"ALERT: the labels of {day} are missing"
    _label(night.frame, pipeline.settings, day)
    assert "are there" in tick()


def test_no_value_of_a_labels_file_is_left_outside_the_lake(pipeline: Pipeline, capfd: Any, tmp_path: Path) -> None:
    settings, night, broken = pipeline.settings, "2026-01-01", "2026-01-02"
    values: list[str] = []
    for day, seed in ((night, 1), (broken, 2)):
        planted = plant(pipeline.declaration, 600, seed=seed)
        values += planted.all_values
        _deliver(planted.frame, settings, day)
        assert pipeline.run("nightly", day).success
        more = [
            {ON: planted.frame[ON][0], TARGET: "zqnotruthvalue"},
            {ON: "zqnobodyknowsme", TARGET: "true"},
            {ON: planted.frame[ON][1], TARGET: "true"},
            {ON: planted.frame[ON][1], TARGET: "false"},
        ]
        _label(planted.frame, settings, day, *more)
    values += ["zqnotruthvalue", "zqnobodyknowsme"]
    assert pipeline.run("labels", night).success
    strange = pl.read_csv(settings.data / "labels" / f"{broken}.csv", infer_schema=False)
    drop(strange.with_columns(zqextra=pl.lit("zqextravalue")), settings.data / "labels" / f"{broken}.csv")
    assert not pipeline.run("labels", broken).success
    printed = tmp_path / "printed"
    printed.write_text("".join(capfd.readouterr()))
    assert "zqextra" in printed.read_text()
    assert search([*values, "zqextravalue"], settings.home, settings.keys, printed) == []
