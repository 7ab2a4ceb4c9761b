"""examples/elec2 by the command line, on the real table: tomorrow's half hours from values known the night before.

Failures say what did not hold and never show a row.
"""

from collections.abc import Callable
from datetime import date, timedelta

import polars as pl
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from kedge.settings import Settings
from kedge.spec import days
from kedge.spec.lag import Lag
from kedge.testing.replay import Replay
from kedge.workspace import Workspace

pytestmark = pytest.mark.real

HISTORY = days("1997-05-12", "1997-06-22")
JUDGED = days("1997-06-23", "1997-07-06")


@pytest.fixture(scope="module")
def replay(begin: Callable[[str], Replay]) -> Replay:
    """Six weeks, the first champion, two weeks that it scores, and the status."""
    replay = begin("elec2")
    replay.play(HISTORY, JUDGED)
    return replay


def _released(replay: Replay, night: str) -> pl.DataFrame:
    workspace = Workspace.open(Settings.from_environment(replay.env))
    version = workspace.dataset("elec2", "anonymized").current(night)
    assert version is not None
    return version.scan().collect()


def _half_hours(replay: Replay, night: str) -> dict[float, dict[str, str]]:
    """Rows of a day of the raw file by half hour."""
    rows = {float(row["period"]): row for row in replay.night(night)}
    assert len(rows) == 48
    return rows


def test_no_feature_is_of_the_same_day(replay: Replay) -> None:
    declaration = replay.declaration
    lags = {name: column.from_ for name, column in declaration.columns.items() if isinstance(column.from_, Lag)}
    assert set(declaration.features) == {"period", *lags}
    assert min(lag.lag for lag in lags.values()) == 1
    for night in (HISTORY[0], HISTORY[1], HISTORY[7], JUDGED[-1]):
        released = _released(replay, night)
        for name, lag in lags.items():
            earlier = date.fromisoformat(night) - timedelta(days=lag.lag)
            if earlier.isoformat() < HISTORY[0]:
                assert released[name].null_count() == 48, f"{night} {name}: that night was never delivered"
                continue
            source = _half_hours(replay, earlier.isoformat())
            wanted = [float(source[period][lag.column]) for period in released["period"]]
            assert released[name].cast(pl.Float64).to_list() == wanted, f"{night} {name}"


def test_every_night_is_taken_in(replay: Replay) -> None:
    nights = {night["partition"]: night for night in replay.status["partitions"]}
    assert tuple(nights) == HISTORY + JUDGED
    assert {night["rows_in"] for night in nights.values()} == {48}
    assert {night["released"] for night in nights.values()} == {48}
    assert {night["quarantined"] for night in nights.values()} == {0}


def test_two_weeks_after_the_training_beside_what_is_known(replay: Replay) -> None:
    outcomes: list[bool] = []
    scores: list[float] = []
    yesterday: list[bool] = []
    for night in JUDGED:
        handed, delivered = replay.handed_out(night), replay.night(night)
        assert [row["class"] for row in handed] == [row["class"] for row in delivered]
        outcomes += [row["class"] == "1" for row in handed]
        scores += [float(row["score"]) for row in handed]
        yesterday += [row["class_1d"] == "1" for row in handed]
    auc = roc_auc_score(outcomes, scores)
    accuracy = accuracy_score(outcomes, [score > 0.5 for score in scores])
    known = accuracy_score(outcomes, yesterday)
    print(f"{len(scores)} half hours: AUC {auc:.3f}, accuracy {accuracy:.3f}; the same half hour yesterday {known:.3f}")
    print("published: .656 over the whole table for the same half hour yesterday, networks .60 to .71")
    assert auc > 0.6
    assert 0.5 < accuracy < 0.85, "above it somebody knows the day's own prices"


def test_every_night_after_it_is_judged(replay: Replay) -> None:
    champion = replay.status["champion"]
    assert champion["nights"] == {"first": HISTORY[0], "last": HISTORY[-1], "count": len(HISTORY)}
    nights = {night["partition"]: night["drift"] for night in replay.status["partitions"]}
    assert {night for night, drift in nights.items() if drift is not None} == set(JUDGED)
    assert all(nights[night]["champion"] == champion["model"] for night in JUDGED)
    assert champion["model"] in replay.printed.read_text()


def test_no_value_of_the_table_is_printed(replay: Replay) -> None:
    """Prices have too many digits to be there by chance."""
    values = sorted({row["nswdemand"] for row in replay.night(HISTORY[0])} - {"0", "1"})
    texts = replay.printed.read_text() + (replay.folder / "status.json").read_text()
    assert len(values) > 30
    assert [position for position, value in enumerate(values) if len(value) >= 8 and value in texts] == []
