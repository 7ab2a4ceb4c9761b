"""examples/diabetes130 by the command line, on the real table: patients are held out, not stays.

Failures say what did not hold and never show a row.
"""

from collections.abc import Callable

import pytest
from sklearn.metrics import roc_auc_score

from kedge.people import HELDOUT, PART, load_rows
from kedge.settings import Settings
from kedge.spec import days
from kedge.testing.leaks import search
from kedge.testing.replay import Replay
from kedge.workspace import Workspace

pytestmark = pytest.mark.real

ROWS = 8_500
HISTORY = days("2026-01-01", "2026-01-09")
JUDGED = days("2026-01-10", "2026-01-12")


@pytest.fixture(scope="module")
def replay(begin: Callable[[str], Replay]) -> Replay:
    """Nine nights, the first champion, three nights that it scores, and the status."""
    replay = begin("diabetes130")
    replay.play(HISTORY, JUDGED)
    return replay


def test_nobody_is_on_both_sides(replay: Replay) -> None:
    workspace = Workspace.open(Settings.from_environment(replay.env))
    anonymized = workspace.dataset("diabetes130", "anonymized")
    versions = {night: anonymized.current(night) for night in (*HISTORY, *JUDGED)}
    nights = {night: version.id for night, version in versions.items() if version is not None}
    rows = load_rows(workspace, replay.declaration, nights, columns=["patient_nbr"])
    held = rows[PART] == HELDOUT
    trained, kept = (set(rows.filter(side)["patient_nbr"].drop_nulls()) for side in (~held, held))
    assert len(trained) > 50_000
    assert len(kept) > 13_000
    assert len(trained & kept) == 0, "a patient with stays on both sides"
    assert len(rows) > len(trained) + len(kept), "some came more than once"
    assert abs(held.mean() - 0.2) < 0.01


def test_every_night_is_taken_in_and_released(replay: Replay) -> None:
    nights = {night["partition"]: night for night in replay.status["partitions"]}
    assert tuple(nights) == (*HISTORY, *JUDGED)
    assert sum(night["rows_in"] for night in nights.values()) == len(replay.rows) == 101_766
    assert [night["blocked"] for night in nights.values() if night["blocked"]] == []
    assert {night["quarantined"] for night in nights.values()} == {0}
    masked = sum(night["masked"] for night in nights.values()) / len(replay.rows)
    print(f"rows that lose race, gender or age: {masked:.1%}")
    assert 0 < masked < 0.05


def test_the_positive_class_is_a_return_within_30_days(replay: Replay) -> None:
    figures = replay.status["champion"]["metrics"]["trusted"]
    print(f"held-out AUC of the first champion: {figures['auc']['value']:.3f}; published about .68")
    assert 0.62 < figures["auc"]["value"] < 0.75
    assert figures["brier"]["value"] < 0.11, "11 % come back within 30 days, 46 % at all"


def test_the_nights_after_it_are_scored_and_judged(replay: Replay) -> None:
    outcomes: list[bool] = []
    scores: list[float] = []
    for night in JUDGED:
        handed, delivered = replay.handed_out(night), replay.night(night)
        assert list(handed[0]) == ["patient_nbr", "score"]
        same = [row["patient_nbr"] for row in handed] == [row["patient_nbr"] for row in delivered]
        assert same, f"{night}: patients as delivered, in the same order"
        outcomes += [row["readmitted"] == "<30" for row in delivered]
        scores += [float(row["score"]) for row in handed]
    auc = roc_auc_score(outcomes, scores)
    print(f"AUC on the last {len(scores):,} stays, trained on the first 76,500: {auc:.3f}; published about .68")
    assert auc > 0.6
    assert sum(scores) / len(scores) < 0.2
    nights = {night["partition"]: night["drift"] for night in replay.status["partitions"]}
    assert {night for night, drift in nights.items() if drift is not None} == set(JUDGED)


def test_no_value_of_the_table_is_printed(replay: Replay) -> None:
    columns = ("patient_nbr", "medical_specialty", "encounter_id")
    values = sorted({row[name] for row in replay.night(JUDGED[0]) for name in columns if len(row[name]) >= 8})
    assert len(values) > 5_000
    assert search(values, replay.printed, replay.folder / "status.json") == []
