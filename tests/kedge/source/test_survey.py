"""The pass over files whose rows tell their day, in a process of its own."""

import json
import os
import signal
import subprocess
import time

import pytest

from kedge import durable, faults
from kedge.errors import Terminal
from kedge.source import survey
from kedge.source.take import take

DEFS = """
type: pipelines.component.TrainingPipeline
attributes:
  partitions: {start: 2026-01-01}
  source: {files: "all.csv", date_column: seen}
  columns:
    id: {type: string, role: subject, privacy: token}
    seen: {type: date}
    left: {type: bool, role: target}
"""


@pytest.fixture
def places(settings, tmp_path):
    (tmp_path / "pipelines/shop").mkdir(parents=True)
    (tmp_path / "pipelines/shop/defs.yaml").write_text(DEFS)
    return type(settings)(**{**vars(settings), "pipelines": tmp_path / "pipelines"})


def write(settings, *days):
    lines = [f"p{n},{day},true\n" for n, day in enumerate(days)]
    (settings.data / "all.csv").write_text("id,seen,left\n" + "".join(lines))


def answer(settings, stamp):
    for _ in range(600):
        if found := survey.ask(settings, "shop", stamp):
            return found
        time.sleep(0.05)
    raise AssertionError("no result in 30 seconds")


def test_a_pass_tells_new_and_changed_days_and_is_kept(ws, by_column, places):
    write(places, "2026-01-02", "2025-12-31", "2026-01-01", "", "2026-01-02", *["2026-01-03"] * 10)
    declaration = by_column()
    stored = take(ws, declaration, "2026-01-02").facts["delivery"]
    found = survey.make(ws, declaration, "s1")
    assert found.days == ("2025-12-31", "2026-01-01", "2026-01-02", "2026-01-03")
    assert list(found.fresh) == ["2026-01-01", "2026-01-03"]
    assert (found.num_rows, found.num_undated, found.problem) == (15, 1, None)
    assert survey.last(places, "shop") == found
    assert stored not in found.fresh.values()

    write(places, "2026-01-02")
    assert survey.make(ws, declaration, "s1") == found  # the same stamp: made already
    assert list(survey.make(ws, declaration, "s2").fresh) == ["2026-01-02"]


def test_a_sensor_asks_until_the_process_has_answered(ws, by_column, places):
    by_column()
    write(places, "2026-01-02")
    assert survey.last(places, "shop") is None
    begin = time.monotonic()
    assert survey.ask(places, "shop", "s1") is None
    assert time.monotonic() - begin < 0.5  # it does not wait for the pass
    found = answer(places, "s1")
    assert (list(found.fresh), found.problem) == (["2026-01-02"], None)
    assert survey.ask(places, "shop", "s1") == found
    assert survey.ask(places, "shop", "s2") is None
    assert answer(places, "s2").stamp == "s2"


def test_files_that_cannot_be_read_are_a_problem_that_quotes_nothing(ws, by_column, places):
    declaration = by_column()
    write(places, "Quintessa")
    found = survey.make(ws, declaration, "s1")
    assert "1 of 1 rows without one, which belong to no day" in str(found.problem)
    assert "Quintessa" not in json.dumps(vars(found))
    assert found.fresh == {}


def test_a_process_that_was_killed_is_told_and_the_next_question_starts_another(ws, by_column, places, monkeypatch):
    by_column()
    write(places, "2026-01-02")
    sleeper = subprocess.Popen(["sleep", "60"])
    with monkeypatch.context() as patched:
        patched.setattr(survey, "_start", lambda *_: sleeper)
        assert survey.ask(places, "shop", "s1") is None
        assert survey.ask(places, "shop", "s1") is None
    os.kill(sleeper.pid, signal.SIGKILL)
    sleeper.wait()
    found = survey.ask(places, "shop", "s1")
    assert found is not None
    assert (found.made, found.problem) == (False, "the look into the files ended early, with exit status -9")
    assert survey.ask(places, "shop", "s1") is None
    assert answer(places, "s1").made


def test_a_pass_cannot_be_asked_for_by_a_name_that_is_a_path(places):
    with pytest.raises(Terminal, match="pipeline"):
        survey.ask(places, "../shop", "s1")


@pytest.mark.parametrize("step", durable.REPLACE)
def test_killed_at_each_of_its_points_the_next_pass_tells_the_same_and_leaves_nothing(
    ws, by_column, places, monkeypatch, step
):
    declaration = by_column()
    write(places, "2026-01-02")
    old = survey.make(ws, declaration, "s0")
    write(places, "2026-01-02", "2026-01-03")
    undisturbed = survey.make(ws, declaration, "s1")
    folder = places.home / "arrivals"
    there = sorted(folder.iterdir())
    (folder / "shop.json").write_text(json.dumps(vars(old)))

    monkeypatch.setenv(faults.VARIABLE, f"source.survey.{step}:kill")
    process = survey._start(places, "shop", "s1")
    assert process.wait(60) == -signal.SIGKILL
    monkeypatch.delenv(faults.VARIABLE)
    assert survey.last(places, "shop") == (undisturbed if step in ("renamed", "after") else old)
    assert survey.make(ws, declaration, "s1") == undisturbed
    assert survey.last(places, "shop") == undisturbed
    assert sorted(folder.iterdir()) == there
