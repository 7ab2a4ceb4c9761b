"""examples/bank_marketing by the command line, on the real table: a first champion, then nights scored and judged.

Failures say what did not hold and never show a row.
"""

from collections.abc import Callable

import pytest
from sklearn.metrics import roc_auc_score

from kedge.spec import days
from kedge.testing.leaks import search
from kedge.testing.replay import Replay

pytestmark = pytest.mark.real

PIPELINE = "bank_marketing"
ROWS = 1_000
HISTORY = days("2026-01-01", "2026-02-01")
JUDGED = days("2026-02-02", "2026-02-10")


@pytest.fixture(scope="module")
def replay(begin: Callable[[str], Replay]) -> Replay:
    """History, first champion, nights after it, their predictions and the status: all by the command line."""
    replay = begin(PIPELINE)
    replay.play(HISTORY, JUDGED)
    return replay


def test_the_first_champion_was_measured(replay: Replay) -> None:
    champion = replay.status["champion"]
    assert champion["since"] == HISTORY[-1]
    assert champion["nights"] == {"first": HISTORY[0], "last": HISTORY[-1], "count": len(HISTORY)}
    for figures in (champion["metrics"]["recent"], champion["metrics"]["trusted"]):
        auc = figures["auc"]
        assert 0.55 <= auc["value"] < 0.8, "without `duration` nobody can know more; with it .95"
        assert auc["low"] < auc["value"] < auc["high"]
        assert figures["calibration_error"]["value"] <= 0.15
    (decision,) = replay.status["decisions"]
    told = {name: decision[name] for name in ("action", "trigger", "cause", "model", "at")}
    first = {"trigger": "command", "cause": "no champion", "model": champion["model"], "at": HISTORY[-1]}
    assert told == {"action": "promote", **first}
    assert "logistic baseline" in decision["reason"]


def test_every_night_is_taken_in_and_released(replay: Replay) -> None:
    nights = {night["partition"]: night for night in replay.status["partitions"]}
    assert tuple(nights) == HISTORY + JUDGED
    assert {night["rows_in"] for night in nights.values()} == {ROWS}
    assert {night["quarantined"] for night in nights.values()} == {0}
    assert [night["blocked"] for night in nights.values() if night["blocked"]] == []
    assert all(night["released"] == ROWS - night["dropped"] for night in nights.values())
    assert max(night["masked"] for night in nights.values()) <= 0.1 * ROWS


def test_every_night_after_it_is_scored(replay: Replay) -> None:
    outcomes: list[bool] = []
    scores: list[float] = []
    for date in JUDGED:
        handed, delivered = replay.handed_out(date), replay.night(date)
        assert len(handed) == len(delivered) == ROWS
        assert list(handed[0]) == [*delivered[0], "score"]
        in_order = all(replay.same(row, received) for row, received in zip(handed, delivered, strict=True))
        assert in_order, f"{date}: rows as delivered, in the same order"
        assert replay.scores(date).stat().st_mode & 0o777 == 0o600
        outcomes += [row["y"] == "yes" for row in handed]
        scores += [float(row["score"]) for row in handed]
    assert all(0 < score < 1 for score in scores)
    auc = roc_auc_score(outcomes, scores)
    print(f"AUC on the last {len(scores):,} rows, trained on the first 32,000: {auc:.3f} (published, first 80 %: .64)")
    assert auc > 0.55, "nobody had seen these nights"


def test_every_night_after_it_is_judged(replay: Replay) -> None:
    nights = {night["partition"]: night["drift"] for night in replay.status["partitions"]}
    assert {date for date, drift in nights.items() if drift is None} == set(HISTORY), "nothing to compare with before"
    for date in JUDGED:
        assert nights[date]["champion"] == replay.status["champion"]["model"]
        assert nights[date]["drifted"] is True, f"{date}: other months, other campaigns"
        assert nights[date]["reason"]
        assert "previous" in nights[date]["columns"], "hardly anybody had been called before, now a third"
    # The share of yes is 6 % in the history, 13 % on the fourth of these nights and 34 % on the fifth.
    assert "y" in nights[JUDGED[4]]["columns"]
    reports = list(replay.folder.glob(f"home/reports/{PIPELINE}/drift_report/*/*.html"))
    assert len(reports) == len(JUDGED)


def test_people_are_told(replay: Replay) -> None:
    printed = replay.printed.read_text()
    assert replay.status["champion"]["model"] in printed
    assert all(date in printed for date in (*HISTORY[-5:], *JUDGED))
    assert "drifted" in printed


def test_no_value_of_the_table_is_printed(replay: Replay) -> None:
    columns = ("job", "education", "nr_employed", "cons_price_idx")
    values = sorted({row[name] for row in replay.rows for name in columns if len(row[name]) >= 6} - {"unknown"})
    assert len(values) > 20
    found = {hit.index for hit in search(values, replay.folder / "scores")}
    assert len(found) > 15, "the search finds them where they are meant to be"
    assert search(values, replay.printed, replay.folder / "status.json") == []
