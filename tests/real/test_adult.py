"""examples/adult by the command line, on the real table: figures on its official test split, beside published ones.

Failures say what did not hold and never show a row.
"""

from collections.abc import Callable

import pytest
from sklearn.metrics import roc_auc_score

from kedge.spec import days
from kedge.testing.leaks import search
from kedge.testing.replay import Replay

pytestmark = pytest.mark.real

ROWS = 4_096
HISTORY = days("2026-01-01", "2026-01-07")
LAST = "2026-01-08"
PUBLISHED = "CatBoost .8727 / .9263, XGBoost .8723 / .9254, MLP .8522 / .9047, TabM-mini .8700 / .9241"


@pytest.fixture(scope="module")
def replay(begin: Callable[[str], Replay]) -> Replay:
    """Seven nights, the first champion, an eighth night that it scores, and the status."""
    replay = begin("adult")
    replay.kedge("check")
    replay.kedge("run", "--partition", HISTORY[0], "--until", HISTORY[-1])
    replay.kedge("run", "--partition", HISTORY[-1], "--job", "retrain")
    replay.kedge("run", "--partition", LAST)
    replay.hand_out(LAST)
    replay.report()
    return replay


def test_every_night_is_taken_in_and_released(replay: Replay) -> None:
    nights = {night["partition"]: night for night in replay.status["partitions"]}
    assert tuple(nights) == (*HISTORY, LAST)
    assert sum(night["rows_in"] for night in nights.values()) == len(replay.rows) == 32_561
    assert {night["quarantined"] for night in nights.values()} == {0}
    assert [night["blocked"] for night in nights.values() if night["blocked"]] == []
    masked = sum(night["masked"] for night in nights.values()) / len(replay.rows)
    print(f"rows that lose age, sex, race or country: {masked:.1%}")
    assert 0 < masked < 0.15


def test_the_official_test_split_beside_published_figures(replay: Replay) -> None:
    champion = replay.status["champion"]
    assert champion["model"]
    assert set(champion["metrics"]) == {"recent", "trusted", "test"}
    test = champion["metrics"]["test"]
    accuracy, auc = test["accuracy"], test["auc"]
    print(f"accuracy / AUC on the official test split: {accuracy['value']:.4f} / {auc['value']:.4f}; {PUBLISHED}")
    assert accuracy["value"] > 0.855
    assert auc["value"] > 0.905
    assert auc["low"] < auc["value"] < auc["high"]
    assert test["calibration_error"]["value"] < 0.03


def test_the_test_file_decides_nothing(replay: Replay) -> None:
    (decision,) = replay.status["decisions"]
    assert decision["action"] == "promote"
    assert "test" not in decision["reason"]


def test_the_night_after_it_is_scored_and_judged(replay: Replay) -> None:
    handed, delivered = replay.handed_out(LAST), replay.night(LAST)
    assert len(handed) == len(delivered) == 32_561 - 7 * ROWS
    in_order = all(replay.same(row, received) for row, received in zip(handed, delivered, strict=True))
    assert in_order, "rows as delivered, in the same order"
    auc = roc_auc_score([row["income"] == ">50K" for row in handed], [float(row["score"]) for row in handed])
    print(f"AUC on the night after the training: {auc:.4f}")
    assert auc > 0.9
    (drift,) = (night["drift"] for night in replay.status["partitions"] if night["drift"])
    assert drift["drifted"] is False, "the table is shuffled: no night differs"


def test_people_are_told(replay: Replay) -> None:
    printed = replay.printed.read_text()
    assert replay.status["champion"]["model"] in printed
    assert "test" in printed


def test_no_value_of_the_table_is_printed(replay: Replay) -> None:
    columns = ("workclass", "education", "marital_status", "occupation", "native_country")
    values = sorted({row[name] for row in replay.rows for name in columns if len(row[name]) >= 8})
    assert len(values) > 40
    found = {hit.index for hit in search(values, replay.folder / "scores")}
    assert len(found) > 30, "the search finds them where they are meant to be"
    assert search(values, replay.printed, replay.folder / "status.json") == []
