"""Sensors: what they ask for, and the reason they give when they do not."""

import json

import dagster as dg
import pytest

from kedge import status as standing
from kedge.history import facts
from kedge.retrain import Decision, RetrainFacts
from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration
from kedge.testing.bank import Bank
from kedge.workspace import Workspace
from resources.cause import CAUSE, EPISODE, TRIGGER, UNTIL
from sensors import access, alerts, arrivals, drift, history


def test_a_delivery_starts_its_night_once(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    sensor = arrivals.sensor(declaration)
    with dg.build_sensor_context(instance=dagster) as context:
        first = sensor(context)
    assert isinstance(first, dg.SensorResult)
    assert "no new delivery" in str(first.skip_reason)
    bank.write(bank.night(1), places.data / "inbox")
    with dg.build_sensor_context(instance=dagster, cursor=first.cursor) as context:
        second = sensor(context)
    assert isinstance(second, dg.SensorResult)
    [request] = second.run_requests or []
    assert request.partition_key == "2026-01-31"
    assert str(request.run_key).startswith("2026-01-31@")
    with dg.build_sensor_context(instance=dagster, cursor=second.cursor) as context:
        third = sensor(context)
    assert isinstance(third, dg.SensorResult)
    assert not third.run_requests


def test_ticks_and_a_status_write_nothing_into_the_audit_trail(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    bank.write(bank.night(1), places.data / "inbox")
    outcome = take(Workspace.open(places), declaration, "2026-01-31")
    log = places.audit / declaration.name / "log.jsonl"
    before = log.read_bytes()
    assert outcome.version.id in before.decode()
    for sensor in (arrivals.sensor(declaration), drift.sensor(declaration), access.sensor(declaration)):
        cursor = None
        for _ in range(3):
            with dg.build_sensor_context(instance=dagster, cursor=cursor) as context:
                sensor(context)
            cursor = context.cursor
    assert standing.status(Workspace.open(places), declaration)["partitions"][0]["rows_in"] == outcome.rows
    assert log.read_bytes() == before


def test_nights_are_asked_for_one_after_the_other_oldest_first(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    for number in (2, 1):
        bank.write(bank.night(number), places.data / "inbox")
    sensor, cursor, asked = arrivals.sensor(declaration), None, []
    for _ in range(2):
        with dg.build_sensor_context(instance=dagster, cursor=cursor) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        asked += [request.partition_key for request in result.run_requests or []]
        cursor = result.cursor
    assert asked == ["2026-01-31", "2026-02-01"]


def test_a_running_night_makes_the_next_one_wait_without_losing_it(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    dagster.add_run(_run("bank_nightly", dg.DagsterRunStatus.STARTED, {"dagster/partition": "2026-01-30"}))
    bank.write(bank.night(1), places.data / "inbox")
    with dg.build_sensor_context(instance=dagster) as context:
        result = arrivals.sensor(declaration)(context)
    assert isinstance(result, dg.SensorResult)
    assert "2026-01-30" in str(result.skip_reason)
    assert "2026-01-31" in json.loads(str(result.cursor))["pending"]


def test_a_file_that_has_gone_or_is_of_a_day_to_come_stops_nothing(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    inbox = places.data / "inbox"
    gone = bank.write(bank.night(1), inbox)
    dagster.add_run(_run("bank_nightly", dg.DagsterRunStatus.STARTED, {"dagster/partition": "2026-01-30"}))
    with dg.build_sensor_context(instance=dagster) as context:
        busy = arrivals.sensor(declaration)(context)
    assert isinstance(busy, dg.SensorResult)
    gone.unlink()
    bank.write(bank.night(2), inbox)
    (inbox / "2099-01-01.csv").write_bytes((inbox / "2026-02-01.csv").read_bytes())
    (inbox / "2099-01-01.csv.done").touch()
    with dg.DagsterInstance.ephemeral() as idle, dg.build_sensor_context(instance=idle, cursor=busy.cursor) as context:
        result = arrivals.sensor(declaration)(context)
    assert isinstance(result, dg.SensorResult)
    assert [request.partition_key for request in result.run_requests or []] == ["2026-02-01"]
    with (
        dg.DagsterInstance.ephemeral() as idle,
        dg.build_sensor_context(instance=idle, cursor=result.cursor) as context,
    ):
        last = arrivals.sensor(declaration)(context)
    assert isinstance(last, dg.SensorResult)
    assert "2099-01-01: its day has not ended yet" in str(last.skip_reason)


def test_the_first_content_runs_again_when_it_comes_back(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    keys, cursor = [], None
    for number in (1, 2, 1):
        target = bank.write(bank.night(number), places.data / "incoming")
        delivered = places.data / "inbox" / "2026-01-31.csv"
        delivered.parent.mkdir(exist_ok=True)
        delivered.write_bytes(target.read_bytes())
        delivered.with_name("2026-01-31.csv.done").touch()
        with dg.build_sensor_context(instance=dagster, cursor=cursor) as context:
            result = arrivals.sensor(declaration)(context)
        assert isinstance(result, dg.SensorResult)
        keys += [request.run_key for request in result.run_requests or []]
        cursor = result.cursor
        take(Workspace.open(places), declaration, "2026-01-31")
    assert len(set(keys)) == 3


def test_a_file_that_contradicts_its_manifest_is_told_once(
    places: Settings, declaration: Declaration, bank: Bank, dagster: dg.DagsterInstance
) -> None:
    delivered = bank.write(bank.night(1), places.data / "inbox")
    delivered.write_bytes(delivered.read_bytes()[:-10])
    with dg.build_sensor_context(instance=dagster) as context:
        result = arrivals.sensor(declaration)(context)
    assert isinstance(result, dg.SensorResult)
    assert "2026-01-31.csv" in str(result.skip_reason)
    assert "manifest" in str(result.skip_reason)


def test_drift_that_lasts_asks_for_one_retraining_with_its_cause(
    places: Settings, declaration: Declaration, dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = Decision(
        action="retrain",
        reason="drift",
        cause="v1:2026-02-05:1",
        episode=("2026-02-05", "2026-02-06"),
        until="2026-02-06",
    )
    monkeypatch.setattr(drift, "decide", lambda facts, policy: decision)
    with dg.build_sensor_context(instance=dagster) as context:
        request = drift.sensor(declaration)(context)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "v1:2026-02-05:1"
    assert request.tags == {
        CAUSE: "v1:2026-02-05:1",
        TRIGGER: "sensor",
        UNTIL: "2026-02-06",
        EPISODE: "2026-02-05,2026-02-06",
    }


def test_without_a_champion_the_drift_sensor_says_why_it_waits(
    places: Settings, declaration: Declaration, dagster: dg.DagsterInstance
) -> None:
    with dg.build_sensor_context(instance=dagster) as context:
        answer = drift.sensor(declaration)(context)
    assert isinstance(answer, dg.SkipReason)
    assert "no champion" in str(answer.skip_message)


def test_runs_without_a_decision_are_facts_of_the_next_one(
    places: Settings, declaration: Declaration, dagster: dg.DagsterInstance
) -> None:
    tags = {CAUSE: "v1:2026-02-05:1", UNTIL: "2026-02-06"}
    for status in (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS):
        dagster.add_run(_run("bank_retrain", status, tags))
    found = history.undecided(dagster, "bank_retrain")
    assert sorted(run.ending for run in found) == ["failed", "running"]
    known = facts(Workspace.open(places), declaration, found)
    assert known == RetrainFacts(champion=None, since=None, nights=[], retrainings=found)


def test_failed_runs_and_failed_checks_are_alerted_once(
    places: Settings, declaration: Declaration, dagster: dg.DagsterInstance
) -> None:
    @dg.asset(key=["bank", "validated"], check_specs=[dg.AssetCheckSpec("zip_type", asset=["bank", "validated"])])
    def validated() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=False, check_name="zip_type")])

    @dg.asset(key=["bank", "anonymized"])
    def anonymized() -> None:
        raise dg.Failure("no")

    job = dg.define_asset_job("bank_nightly", selection="*")
    definitions = dg.Definitions(assets=[validated, anonymized], jobs=[job])
    definitions.resolve_job_def("bank_nightly").execute_in_process(instance=dagster, raise_on_error=False)
    sensor = alerts.sensor(declaration)
    with dg.build_sensor_context(instance=dagster) as context:
        first = sensor(context)
        cursor = context.cursor
    assert isinstance(first, dg.SkipReason)
    assert "check zip_type failed (ERROR; bank/validated, partition -" in str(first.skip_message)
    assert "of bank_nightly ended as FAILURE" in str(first.skip_message)
    with dg.build_sensor_context(instance=dagster, cursor=cursor) as context:
        second = sensor(context)
    assert isinstance(second, dg.SkipReason)
    assert second.skip_message == "nothing has failed"


def test_another_pipelines_failures_are_not_ours(declaration: Declaration, dagster: dg.DagsterInstance) -> None:
    @dg.op
    def failing() -> None:
        raise dg.Failure("no")

    @dg.job(name="bank_marketing_nightly")
    def theirs() -> None:
        failing()

    theirs.execute_in_process(instance=dagster, raise_on_error=False)
    with dg.build_sensor_context(instance=dagster) as context:
        answer = alerts.sensor(declaration)(context)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == "nothing has failed"


def _run(job: str, status: dg.DagsterRunStatus, tags: dict[str, str]) -> dg.DagsterRun:
    return dg.DagsterRun(job_name=job, status=status, tags=tags)
