"""examples/fremtpl2 by the command line, on the real table: claims per exposure, split by groups of equal features.

Failures say what did not hold and never show a row.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import d2_tweedie_score

from kedge.lake import ALL
from kedge.people import HELDOUT, PART, TRAIN, load_rows
from kedge.settings import Settings
from kedge.spec import days
from kedge.testing.leaks import search
from kedge.testing.replay import Replay
from kedge.workspace import Workspace

pytestmark = pytest.mark.real

PIPELINE = "fremtpl2"
HISTORY = days("2026-01-01", "2026-01-06")
NEXT = "2026-01-07"
ROWS = 678_013
PUBLISHED = "published, whole table: GLM .034-.04; groups of equal features: HistGradientBoosting .079, MLP .076"


class Policies:
    """The replay with the table beside it as numbers."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.ws = Workspace.open(Settings.from_environment(dict(replay.env)))

    @cached_property
    def table(self) -> pl.DataFrame:
        """The table as published, with `night`."""
        frame = pl.read_csv(self.replay.data / str(self.replay.declaration.source.files), infer_schema=False)
        numbers = pl.col("ClaimNb", "Exposure").cast(pl.Float64)
        return frame.with_columns(numbers, night=pl.int_range(pl.len()) // 100_000)

    @cached_property
    def broken(self) -> pl.Series:
        """Whether a row breaks a bound of the declaration."""
        return self.table.select((pl.col("ClaimNb") > 4) | (pl.col("Exposure") > 1)).to_series()

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        current = self.ws.dataset(PIPELINE, "evaluation").current(ALL)
        assert current is not None
        return dict(current.manifest.notes)

    @cached_property
    def window(self) -> pl.DataFrame:
        """Released rows that the champion was trained and judged on, with the part of each."""
        current = self.ws.dataset(PIPELINE, "training_set").current(ALL)
        assert current is not None
        return load_rows(self.ws, self.replay.declaration, current.manifest.notes["nights"])


@pytest.fixture(scope="module")
def policies(begin: Callable[[str], Replay]) -> Policies:
    """Six nights of history, the first champion, one night after it, its predictions and the status."""
    replay = begin(PIPELINE)
    replay.kedge("check")
    replay.kedge("run", "--partition", HISTORY[0], "--until", HISTORY[-1])
    replay.kedge("run", "--partition", HISTORY[-1], "--job", "retrain")
    replay.kedge("run", "--partition", NEXT)
    replay.hand_out(NEXT)
    replay.report()
    return Policies(replay)


def test_known_errors_of_the_table_are_in_quarantine(policies: Policies) -> None:
    nights = {night["partition"]: night for night in policies.replay.status["partitions"]}
    assert tuple(nights) == (*HISTORY, NEXT)
    assert sum(night["rows_in"] for night in nights.values()) == len(policies.table) == ROWS
    assert [night["blocked"] for night in nights.values() if night["blocked"]] == []
    wrong = policies.table.filter(policies.broken)["night"].value_counts()
    expected = dict(wrong.iter_rows())
    assert [night["quarantined"] for night in nights.values()] == [expected.get(n, 0) for n in range(7)]
    assert 1_224 <= policies.broken.sum() <= 1_233
    assert max(night["masked"] / night["rows_in"] for night in nights.values()) < 0.03
    assert max(night["dropped"] for night in nights.values()) <= 50, (
        "of 100,000: a class that is small even when masked"
    )


def test_rows_of_equal_features_are_on_one_side(policies: Policies) -> None:
    features = list(policies.replay.declaration.features)
    rows = policies.window.select(*features, PART)
    assert len(rows) > 590_000
    sides = rows.group_by(features).agg(pl.col(PART).n_unique(), pl.len())
    assert set(sides[PART]) == {1}
    assert sides.filter(pl.col("len") > 1)["len"].sum() > len(rows) / 3, "what a random split would tear apart"
    assert (rows[PART] == HELDOUT).mean() == pytest.approx(0.2, abs=0.01)
    held, trained = (rows.filter(pl.col(PART) == part).select(features).unique() for part in (HELDOUT, TRAIN))
    assert len(held.join(trained, on=features, how="semi", nulls_equal=True)) == 0


def test_the_first_champion_gains_what_was_published(policies: Policies) -> None:
    champion = policies.replay.status["champion"]
    assert champion["since"] == HISTORY[-1]
    trusted = policies.evaluation["sets"]["trusted"]
    ours, line = trusted["challenger"]["deviance_gain"], trusted["baseline"]["deviance_gain"]
    assert champion["metrics"]["trusted"]["deviance_gain"] == ours
    print(f"deviance gain on {trusted['rows']:,} held-out policies: {_told(ours)}, Poisson regression {_told(line)}")
    print(f"({PUBLISHED}); worst slice {_told(trusted['worst_slice_deviance_gain'])}")
    assert 0.05 < ours["value"] < 0.12
    assert ours["low"] > 0.04
    assert 0.02 < line["value"] < ours["value"]
    assert trusted["gain"]["baseline"]["low"] > 0, "better than the Poisson regression, beyond chance"
    assert trusted["worst_slice_deviance_gain"]["value"] > 0.01
    (decision,) = policies.replay.status["decisions"]
    assert (decision["action"], decision["cause"]) == ("promote", "no champion")
    assert "not worse than the Poisson baseline" in decision["reason"]


def _told(figure: dict[str, float]) -> str:
    return f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"


def test_expected_claims_add_up(policies: Policies) -> None:
    bins = policies.evaluation["sets"]["trusted"]["calibration"]
    expected, observed = (sum(b[name] for b in bins) for name in ("expected", "observed"))
    print(
        f"expected / observed claims: {expected / observed:.3f}; by tenth of the exposure, lowest rate first: ", end=""
    )
    print(", ".join(f"{b['expected'] / b['observed']:.2f}" for b in bins))
    assert expected / observed == pytest.approx(1, abs=0.05)
    assert all(0.7 < b["expected"] / b["observed"] < 1.3 for b in bins)
    assert bins[-1]["observed"] > 2 * bins[0]["observed"]


def test_the_night_after_it_is_scored(policies: Policies) -> None:
    handed = policies.replay.handed_out(NEXT)
    delivered = policies.table.filter((pl.col("night") == 6) & ~policies.broken)
    assert list(handed[0]) == ["IDpol", "score"]
    assert [row["IDpol"] for row in handed] == delivered["IDpol"].to_list()
    scores, years = np.array([float(row["score"]) for row in handed]), delivered["Exposure"].to_numpy()
    assert (scores > 0).all()
    rates = delivered["ClaimNb"].to_numpy() / years
    gain = d2_tweedie_score(rates, scores / years, sample_weight=years, power=1)
    claims = delivered["ClaimNb"].sum()
    print(f"the night after it: deviance gain {gain:.4f}, expected / observed claims {scores.sum() / claims:.3f}")
    assert gain < 0, "other policies than the champion knows, as the drift report of the night says"
    assert 1.5 < scores.sum() / claims < 3


def test_the_night_after_it_is_judged(policies: Policies) -> None:
    nights = {night["partition"]: night["drift"] for night in policies.replay.status["partitions"]}
    assert {date for date, drift in nights.items() if drift is None} == set(HISTORY)
    assert nights[NEXT]["drifted"] is True
    assert "VehAge" in nights[NEXT]["columns"], "its policies are of much newer cars"
    print(f"drift of {NEXT}: {nights[NEXT]['reason']}")


def test_no_policy_is_named_in_what_people_read(policies: Policies) -> None:
    named = policies.table.filter(pl.col("night") == 6)["IDpol"]
    values = sorted(named.filter(named.str.len_chars() >= 9).head(300))
    assert len(values) == 300
    assert len({hit.index for hit in search(values, policies.replay.folder / "scores")}) == 300
    read = (
        policies.replay.printed,
        policies.replay.folder / "status.json",
        policies.replay.folder / "home" / "reports",
    )
    assert search(values, *read) == []
