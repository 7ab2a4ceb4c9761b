"""A simulated retail bank: one file of customers a night, and a world that changes in the middle of the story.

Columns of a delivery, in order (a header row, comma, empty = missing):

| column        | what                                                     | contract it keeps on a quiet night        |
|---------------|----------------------------------------------------------|-------------------------------------------|
| customer_id   | `C0000001` ...; the person; at most once a night         | string, unique, never missing             |
| name          | first and last name from short invented lists            | string                                    |
| email         | at example.com, example.net or example.org               | string, an e-mail address                 |
| phone         | `+1 303 555 0147`: the range kept for fiction            | string, a phone number                    |
| birth_date    | ISO date; adults of 18 to 79 years                       | date, 1926-01-01 to 2010-12-31            |
| zip           | five digits; the first one (1 to 5) is the area          | string                                    |
| notes         | free text, in about one row of six with personal details | string, may be missing                    |
| balance       | money on the account, two decimals, 0 to 250,000         | float, min 0, about 1 % missing           |
| tenure_months | months since the account was opened                      | integer, 0 to 720                         |
| logins        | logins of the last 30 days                               | integer, 0 to 1,000                       |
| complaints    | complaints of the last 90 days                           | integer, 0 to 100                         |
| card_spend    | spent by card in the last 30 days, two decimals          | float, 0 to 250,000                       |
| plan          | basic, plus, or (rare at first, about 3 %) flex          | category basic / plus / flex              |
| left          | `true` or `false`: did the customer leave?               | bool, never missing: the target           |

Features after the border: birth_date (10-year bins), zip (first digit), balance, tenure_months, logins, complaints,
card_spend, plan: eight. The first night of the 30 nights of history is 2026-01-01, so N1 is 2026-01-31.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from kedge.testing import behaviour, mishaps
from kedge.testing.delivery import drop
from kedge.testing.notes import notes
from kedge.testing.population import customers

COLUMNS = (
    "customer_id",
    "name",
    "email",
    "phone",
    "birth_date",
    "zip",
    "notes",
    "balance",
    "tenure_months",
    "logins",
    "complaints",
    "card_spend",
    "plan",
    "left",
)
Kind = Literal["quiet", "broken", "unknown column", "drift", "mis-joined"]
NEW_WORLD = 6  # first night on which the movers have moved


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One night of the story.

    Attributes:
        night: its number; the history ends with night 0.
        kind: what the bank sends.
        story: what the reader of the demo is told.
    """

    night: int
    kind: Kind
    story: str


STORY = (
    Scene(night=1, kind="quiet", story="an ordinary night"),
    Scene(night=2, kind="quiet", story="another ordinary night"),
    Scene(night=3, kind="broken", story="about 200 rows break the contract and go to quarantine"),
    Scene(night=4, kind="unknown column", story="the file has a column nobody declared: it could be personal data"),
    Scene(night=5, kind="quiet", story="an ordinary night again"),
    Scene(night=6, kind="drift", story="many customers have moved to the plan flex, and behave differently there"),
    Scene(night=7, kind="drift", story="the new world is here to stay"),
    Scene(night=8, kind="quiet", story="the new world is the ordinary one now"),
    Scene(night=9, kind="quiet", story="still quiet"),
    Scene(night=10, kind="mis-joined", story="a wrong join: three inputs shifted, outcomes on the wrong rows"),
    Scene(night=11, kind="mis-joined", story="the same wrong join once more"),
    Scene(night=12, kind="quiet", story="the sender has repaired the join"),
)


@dataclass(frozen=True, kw_only=True)
class Night:
    """What the bank sends for one date.

    Attributes:
        date: the calendar day the delivery is for.
        frame: the delivery, every cell as text (null = empty), columns as in the module's table.
        truth: who really left, by row of `frame`; differs from the column `left` where the file lies.
        kind: of the scene.
    """

    date: date
    frame: pl.DataFrame
    truth: pl.Series
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Bank:
    """The bank; equal arguments give equal nights, each for itself.

    Attributes:
        seed: of everything drawn.
        start: first night of the history.
        history_nights: how many nights come before night 1.
        rows: a night.
        num_customers: of whom each night draws its rows, without repetition; people recur from night to night.
    """

    seed: int = 0
    start: date = date(2026, 1, 1)
    history_nights: int = 30
    rows: int = 3_000
    num_customers: int = 40_000

    @cached_property
    def population(self) -> pl.DataFrame:
        """Everybody, with what only the simulator knows."""
        return customers(self.num_customers, self.seed, self.start)

    def date(self, n: int) -> date:
        """Calendar day of night `n` (1 is the first night of the story, 0 the last of the history)."""
        return self.start + timedelta(days=self.history_nights - 1 + n)

    def history(self) -> Iterator[Night]:
        """The quiet nights before the story, oldest first."""
        return (self.night(n) for n in range(1 - self.history_nights, 1))

    def story(self) -> Iterator[Night]:
        """The nights of `STORY`."""
        return (self.night(scene.night) for scene in STORY)

    def night(self, n: int) -> Night:
        """The delivery of night `n`; nights outside the story are quiet ones of their world."""
        rng = np.random.default_rng([self.seed, 2, n + self.history_nights])
        kind: Kind = next((scene.kind for scene in STORY if scene.night == n), "quiet")
        people = self.population[rng.choice(self.num_customers, self.rows, replace=False)]
        months = (self.history_nights - 1 + n) // 30
        seen = behaviour.inputs(people, rng, months=months, new_world=n >= NEW_WORLD)
        truth = behaviour.leaves(seen, rng)
        left = pl.Series("left", truth)
        if kind == "mis-joined":
            seen, left = mishaps.misjoined(seen), mishaps.wrong_outcomes(truth, rng)
        frame = _text(people, seen, left, rng)
        if kind == "broken":
            frame = mishaps.broken_rows(frame, rng)
        if kind == "unknown column":
            frame = mishaps.unknown_column(frame, rng)
        return Night(date=self.date(n), frame=frame, truth=pl.Series("truth", truth), kind=kind)

    def write(self, night: Night, inbox: Path) -> Path:
        """Drop a night into `inbox` as `DATE.csv` with its manifest; answers with the file's path."""
        return drop(night.frame, inbox / f"{night.date.isoformat()}.csv")


def _text(people: pl.DataFrame, seen: pl.DataFrame, left: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    """The delivery as text: what was measured beside who it is about; one balance in a hundred is missing."""
    whole = people.hstack(seen).with_columns(notes(people, rng), left, _gap=rng.random(people.height) < 0.01)
    balance = pl.when("_gap").then(None).otherwise(_amount("balance"))
    texts = whole.with_columns(balance.alias("balance"), _amount("card_spend").alias("card_spend"))
    return texts.select(pl.col(COLUMNS).cast(pl.String))


def _amount(column: str) -> pl.Expr:
    cents = (pl.col(column) * 100).round().cast(pl.Int64)
    return pl.format("{}.{}", cents // 100, (cents % 100).cast(pl.String).str.zfill(2))
