"""Deliveries of several files, and files whose rows tell their day: from the sensor's ask to the stored night."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from kedge.settings import Settings
from kedge.source.take import take
from kedge.spec import Declaration, load
from kedge.workspace import Workspace
from pipelines.definitions import build
from sensors import arrivals, nightly

SHOP = """
type: pipelines.component.TrainingPipeline
attributes:
  partitions: {{start: 2026-01-01}}
  source: {source}
  quarantine_at_most: 50%
  privacy: {{k: 2}}
  columns:
    id: {{type: string, role: subject, privacy: token}}
    seen: {{type: date, feature: false}}
    age: {{type: integer}}
    left: {{type: bool, role: target}}
"""


@pytest.fixture
def shop(places: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declares the pipeline `shop` with another source; gives its declaration and definitions."""
    places.data.mkdir(parents=True)
    monkeypatch.setenv("KEDGE_PIPELINES", str(tmp_path / "pipelines"))

    def declare(source: str) -> tuple[Declaration, dg.Definitions]:
        folder = tmp_path / "pipelines/shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text(SHOP.format(source=source))
        return load(folder / "defs.yaml"), build(Settings.from_environment())

    return declare


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("id,seen,age,left\n" + "".join(f"{name},{day},30,true\n" for name, day in rows))
    path.with_name(path.name + ".done").touch()


def tick(declaration: Declaration, dagster: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    with dg.build_sensor_context(instance=dagster, cursor=cursor) as context:
        result = arrivals.sensor(declaration)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def ticks(
    declaration: Declaration, dagster: dg.DagsterInstance, cursor: str | None = None, number: int = 4
) -> tuple[list[str], str | None, list[str]]:
    """Nights asked for until the sensor has been idle for `number` ticks, the cursor, and the reasons to wait."""
    asked, reasons, idle = list[str](), list[str](), 0
    until = time.monotonic() + 60
    while idle < number and time.monotonic() < until:
        result = tick(declaration, dagster, cursor)
        cursor = result.cursor
        asked += [str(request.partition_key) for request in result.run_requests or []]
        reason = str(result.skip_reason.skip_message) if result.skip_reason else ""
        reasons.append(reason)
        looking = "looking which nights" in reason
        idle = 0 if looking or result.run_requests else idle + 1
        time.sleep(0.1 if looking else 0)
    return asked, cursor, reasons


def test_several_files_make_one_night_and_a_late_one_asks_for_it_again(
    shop: Any, places: Settings, dagster: dg.DagsterInstance
) -> None:
    declaration, _ = shop('{files: "inbox/{date}/*.csv", after: delete}')
    folder = places.data / "inbox/2026-01-05"
    write(folder / "b.csv", [("p2", "2026-01-05")])
    write(folder / "a.csv", [("p1", "2026-01-05")])
    asked, cursor, reasons = ticks(declaration, dagster)
    assert asked == ["2026-01-05"]
    assert "2026-01-05: complete when it is the same at the next look" in reasons[0]
    workspace = Workspace.open(places)
    assert take(workspace, declaration, "2026-01-05").rows == 2
    assert list(folder.iterdir()) == []

    write(folder / "c.csv", [("p3", "2026-01-05")])
    asked, cursor, _ = ticks(declaration, dagster, cursor)
    assert asked == ["2026-01-05"]
    assert take(workspace, declaration, "2026-01-05").rows == 3
    assert ticks(declaration, dagster, cursor)[0] == []


def test_a_file_with_dates_in_its_rows_asks_for_each_night_that_is_new_or_changed(
    shop: Any, places: Settings, dagster: dg.DagsterInstance
) -> None:
    declaration, _ = shop('{files: "all.csv", date_column: seen}')
    path, workspace = places.data / "all.csv", Workspace.open(places)
    rows = [("p1", "2026-01-03"), ("p2", "2026-01-01"), ("p3", "2025-12-31"), ("p4", "2099-01-01")]
    write(path, rows)
    asked, cursor, reasons = ticks(declaration, dagster)
    assert asked == ["2026-01-01", "2026-01-03"]
    assert "no new delivery\nlooking which nights the files hold" in reasons
    assert "2099-01-01: its day has not ended yet" in reasons[-1]
    for night in asked:
        take(workspace, declaration, night)

    write(path, [*rows, ("p5", "2026-01-02"), ("late", "2026-01-01"), ("nobody's", "")])
    asked, cursor, _ = ticks(declaration, dagster, cursor)
    assert asked == ["2026-01-01", "2026-01-02"]
    for night in asked:
        take(workspace, declaration, night)
    path.touch()
    assert ticks(declaration, dagster, cursor)[0] == []
    assert ticks(declaration, dagster, None)[0] == []  # a sensor that starts anew


def test_files_without_a_readable_date_are_held_back_with_the_reason(
    shop: Any, places: Settings, dagster: dg.DagsterInstance
) -> None:
    declaration, _ = shop('{files: "all.csv", date_column: seen}')
    write(places.data / "all.csv", [("p1", "31.12.2025"), ("p2", "1.1.2026")])
    asked, cursor, reasons = ticks(declaration, dagster)
    assert asked == []
    assert any("2 of 2 rows without one, which belong to no day" in reason for reason in reasons)
    assert json.loads(str(cursor))["survey"] is None
    write(places.data / "all.csv", [("p1", "2026-01-01")])
    assert ticks(declaration, dagster, cursor)[0] == ["2026-01-01"]


def test_a_night_of_a_dated_file_runs_and_shows_rows_without_a_date_as_a_check(
    shop: Any, places: Settings, dagster: dg.DagsterInstance
) -> None:
    _, definitions = shop('{files: "all.csv", date_column: seen}')
    path = places.data / "all.csv"
    write(path, [*((f"p{n}", "2026-01-01") for n in range(8)), ("nobody's", "")])
    raw = dg.AssetKey(["shop", "raw"])

    def night() -> dg.ExecuteInProcessResult:
        job = definitions.resolve_job_def("shop_nightly")
        return job.execute_in_process(
            instance=dagster, partition_key="2026-01-01", asset_selection=[raw], raise_on_error=False
        )

    first = night()
    assert first.success
    (check,) = first.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == ("dated_rows", False, dg.AssetCheckSeverity.WARN)
    write(path, [(f"p{n}", "2026-01-01") for n in range(9)])
    second = night()
    (check,) = second.get_asset_check_evaluations()
    assert check.passed
    warnings = [
        record.user_message for record in dagster.all_logs(second.run_id) if "another delivery" in record.user_message
    ]
    (version,) = [m.metadata["version"].value for m in first.asset_materializations_for_node("shop__raw")]
    assert warnings == [f"shop 2026-01-01: another delivery of a known day replaces raw version {version}"]


@pytest.mark.parametrize("source", ['{files: "all.csv", date_column: seen}', '{files: "in/{date}-*.csv"}'])
def test_the_schedule_says_what_is_missing_and_knows_what_has_come(
    shop: Any, places: Settings, dagster: dg.DagsterInstance, source: str
) -> None:
    declaration, _ = shop(source)
    schedule = nightly.schedule(declaration)

    def due() -> str:
        at = datetime(2026, 1, 3, 2, tzinfo=UTC)
        with dg.build_schedule_context(instance=dagster, scheduled_execution_time=at) as context:
            answer = schedule(context)
        assert isinstance(answer, dg.SkipReason)
        return str(answer.skip_message)

    assert "ALERT: the delivery of 2026-01-02 is missing" in due()
    write(places.data / ("all.csv" if "date_column" in source else "in/2026-01-02-a.csv"), [("p", "2026-01-02")])
    ticks(declaration, dagster)
    assert "the delivery of 2026-01-02 is there" in due()
