import hashlib
import json
import re
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kedge.testing.bank import COLUMNS, STORY, Bank, Night
from kedge.testing.mishaps import BREAKAGES
from kedge.testing.population import FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS

NUMBERS = ("birth_date", "balance", "tenure_months", "logins", "complaints", "card_spend")
PLANS = ("basic", "plus", "flex")


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank(seed=0)


@pytest.fixture(scope="module")
def history(bank: Bank) -> pl.DataFrame:
    return pl.concat([typed(night) for night in bank.history()])


@pytest.fixture(scope="module")
def episode(bank: Bank) -> pl.DataFrame:
    return pl.concat([typed(bank.night(6)), typed(bank.night(7))])


def typed(night: Night) -> pl.DataFrame:
    decade = pl.col("birth_date").str.to_date().dt.year() // 10 * 10
    numbers = [pl.col(column).cast(pl.Float64) for column in NUMBERS[1:]]
    return night.frame.select(
        "customer_id", "plan", pl.col("zip").str.head(1), decade, *numbers, left=pl.col("left") == "true"
    ).with_columns(night.truth)


def matrix(frame: pl.DataFrame) -> np.ndarray:
    logs = [pl.col(c).fill_null(3_000).log1p() for c in ("balance", "logins", "card_spend", "tenure_months")]
    plans = [(pl.col("plan") == plan).cast(pl.Float64).alias(plan) for plan in PLANS]
    return frame.select(*logs, "complaints", *plans).to_numpy()


def fit(frame: pl.DataFrame) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix(frame), frame["left"].to_numpy())


def auc(model: Pipeline, frame: pl.DataFrame, outcome: str = "left") -> float:
    return float(roc_auc_score(frame[outcome].to_numpy(), model.predict_proba(matrix(frame))[:, 1]))


def effects(reference: pl.DataFrame, current: pl.DataFrame) -> dict[str, float]:
    found = {}
    for column in NUMBERS:
        before, now = (frame[column].drop_nulls().cast(pl.Float64).to_numpy() for frame in (reference, current))
        found[column] = wasserstein_distance(before, now) / before.std()
    for column in ("plan", "zip", "left"):
        values = reference[column].unique().sort()
        shares = [[(frame[column] == value).mean() for value in values] for frame in (reference, current)]
        found[column] = jensenshannon(*shares)
    return found


def test_a_night_is_the_same_whenever_it_is_asked_for() -> None:
    small = {"rows": 300, "num_customers": 4_000}
    first, other_order = Bank(seed=3, **small), Bank(seed=3, **small)
    other_order.night(9)
    for n in (-3, 3, 4, 10):
        assert first.night(n).frame.equals(other_order.night(n).frame)
        assert first.night(n).truth.equals(other_order.night(n).truth)
    assert not first.night(1).frame.equals(first.night(2).frame)
    assert not first.night(1).frame.equals(Bank(seed=4, **small).night(1).frame)


def test_the_delivery_has_the_declared_columns_as_text(bank: Bank) -> None:
    night = bank.night(1)
    assert night.frame.columns == list(COLUMNS)
    assert set(night.frame.dtypes) == {pl.String}
    assert night.frame.height == night.truth.len() == 3_000
    assert night.frame["customer_id"].n_unique() == 3_000
    missing = {column: night.frame[column].null_count() for column in COLUMNS if night.frame[column].null_count()}
    assert set(missing) == {"notes", "balance"}
    assert 0 < missing["balance"] < 0.02 * 3_000


def test_the_calendar_and_the_story(bank: Bank) -> None:
    nights = list(bank.history())
    assert len(nights) == 30
    assert nights[0].date == bank.start == date(2026, 1, 1)
    assert bank.night(1).date == date(2026, 1, 31)
    assert [scene.night for scene in STORY] == list(range(1, 13))
    assert [night.kind for night in bank.story()] == [scene.kind for scene in STORY]
    assert {night.kind for night in nights} == {"quiet"}


def test_people_recur_and_stay_who_they_are(bank: Bank) -> None:
    who = ["customer_id", "name", "email", "phone", "birth_date", "zip"]
    week = pl.concat([bank.night(n).frame for n in range(-6, 1)])
    people = week.select(who).unique()
    assert people.height == week["customer_id"].n_unique() < 0.95 * week.height


def test_nobody_is_real(bank: Bank) -> None:
    frame = bank.night(1).frame
    names = {f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES}
    assert set(frame["name"]) <= names
    assert frame["phone"].str.contains(r"^\+1 [2-9]\d\d 555 01\d\d$").all()
    assert set(frame["email"].str.split("@").list.last()) <= set(MAIL_DOMAINS)
    assert frame["email"].n_unique() == frame.height
    ages = 2026 - frame["birth_date"].str.head(4).cast(pl.Int64)
    assert ages.min() >= 18
    assert ages.max() <= 80


def test_notes_hold_personal_details_now_and_then(bank: Bank) -> None:
    frame = bank.night(1).frame.filter(pl.col("notes").is_not_null())
    for column in ("name", "email", "phone"):
        own = frame.select(pl.col("notes").str.contains(pl.col(column), literal=True)).to_series()
        assert 0.01 < own.mean() < 0.15
    foreign = frame.filter(pl.col("notes").str.starts_with("spouse"))
    assert foreign.height > 0
    assert all(re.search(r"\+1 \d{3} 555 01\d\d$", note) for note in foreign["notes"])


def test_broken_rows_break_one_cell_each(bank: Bank) -> None:
    night = bank.night(3)
    places = [night.frame[column].eq_missing(value) for column, value in BREAKAGES]
    counts = [int(place.sum()) for place in places]
    assert sum(counts) == 200
    assert max(counts) - min(counts) <= 1
    assert np.sum([place.to_numpy() for place in places], axis=0).max() == 1
    quiet = bank.night(2).frame
    assert not any(quiet[column].eq_missing(value).any() for column, value in BREAKAGES)


def test_the_unknown_column_comes_last(bank: Bank) -> None:
    assert bank.night(4).frame.columns == [*COLUMNS, "employer"]


def test_a_mis_joined_file_keeps_the_rate_and_loses_the_relation(bank: Bank, history: pl.DataFrame) -> None:
    for n in (10, 11):
        frame = typed(bank.night(n))
        assert frame["left"].sum() == frame["truth"].sum()
        assert frame["left"].ne(frame["truth"]).mean() > 0.3
        refit = fit(pl.concat([history, frame]).tail(frame.height))
        assert auc(refit, frame) < 0.58  # fitted to these very rows, and still close to chance


def test_the_old_model_is_good_until_the_world_changes(bank: Bank, history: pl.DataFrame) -> None:
    old = fit(history)
    for n in (1, 2, 5):
        assert auc(old, typed(bank.night(n)), "truth") > 0.8
    for n in (6, 7, 8, 9, 12):
        assert auc(old, typed(bank.night(n)), "truth") < 0.65


def test_the_new_world_can_be_learnt_and_the_old_one_kept(
    bank: Bank, history: pl.DataFrame, episode: pl.DataFrame
) -> None:
    """Old and new customers of the rare plan differ in tenure: no row of one looks like a row of the other."""
    moved = (pl.col("plan") == "flex") & (pl.col("tenure_months") >= 18)
    assert history.filter(moved).height == 0
    assert 0.02 < (history["plan"] == "flex").mean() < 0.04
    assert 0.35 < episode.select(moved).to_series().mean() < 0.45
    new = fit(episode.filter(moved))
    later = typed(bank.night(12))
    assert auc(new, later.filter(moved), "truth") > 0.8
    assert auc(fit(history), later.filter(~moved), "truth") > 0.8


def test_drift_is_seen_on_the_nights_of_the_story_and_on_no_other(
    bank: Bank, history: pl.DataFrame, episode: pl.DataFrame
) -> None:
    for n in (1, 2, 5):
        assert max(effects(history, typed(bank.night(n))).values()) < 0.08
    for n in (6, 7):
        moved = {column for column, effect in effects(history, typed(bank.night(n))).items() if effect > 0.105}
        assert moved == {"plan", "logins", "card_spend", "left"}
    for n in (8, 9, 12):
        assert max(effects(episode, typed(bank.night(n))).values()) < 0.08
    for n in (10, 11):
        moved = {column for column, effect in effects(episode, typed(bank.night(n))).items() if effect > 0.3}
        assert moved == {"balance", "logins", "card_spend"}


def test_no_class_of_age_and_area_is_small(bank: Bank) -> None:
    for n in (-10, 1, 6):
        classes = typed(bank.night(n)).group_by("birth_date", "zip").agg(pl.col("customer_id").n_unique())
        assert classes["customer_id"].min() > 15
        assert classes.height == 35


def test_a_file_is_dropped_whole_with_its_manifest(bank: Bank, tmp_path: Path) -> None:
    night = bank.night(3)
    path = bank.write(night, tmp_path / "inbox")
    assert path.name == "2026-02-02.csv"
    data = path.read_bytes()
    facts = json.loads(path.with_name(f"{path.name}.manifest").read_text())
    assert facts == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    back = pl.read_csv(path, infer_schema=False)
    assert back.equals(night.frame)
    bank.write(bank.night(3), path.parent)
    assert path.read_bytes() == data
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.manifest"]
