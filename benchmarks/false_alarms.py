"""How often a quiet night looks drifted: `python benchmarks/false_alarms.py [NIGHTS]`.

A world that does not change: 20,000 customers who keep their traits, whose balances and logins vary from night to
night, drawn anew every night. The reference is 13 nights of 3,000; a new one after every 30 nights. Printed per size of
night: days that drifted, columns that did, and columns whose distance passed the noise bound (expected: at most 0.1 %
of the nights times one column). One drifted world per size shows that the same settings see a real change.
"""

import sys
import time

import numpy as np
import polars as pl

from kedge.drift import column as columns
from kedge.drift.judge import Night
from kedge.drift.sample import Sample
from kedge.spec import Declaration

CUSTOMERS, REFERENCE_NIGHTS, NIGHTLY = 20_000, 13, 3_000

DECLARATION = Declaration.named(
    "bank",
    {
        "partitions": {"start": "2026-01-01"},
        "source": {"files": "{date}.csv"},
        "columns": {
            "customer": {"type": "string", "role": "subject", "privacy": "token"},
            **{name: {"type": "float"} for name in ("decade", "balance", "spend", "tenure")},
            **{name: {"type": "integer"} for name in ("logins", "complaints")},
            **{name: {"type": "category"} for name in ("plan", "area", "job", "channel")},
            "left": {"type": "bool", "role": "target"},
        },
    },
)


class World:
    """Customers with traits that stay."""

    def __init__(self, seed: int) -> None:
        r = self.random = np.random.default_rng(seed)
        jobs = 0.5 ** np.minimum(np.arange(12), 6)
        self.traits = pl.DataFrame(
            {
                "customer": [f"t{i}" for i in range(CUSTOMERS)],
                "decade": 1940.0 + 10 * r.integers(0, 7, CUSTOMERS),
                "wealth": r.normal(8, 1, CUSTOMERS),
                "tenure": r.integers(0, 200, CUSTOMERS).astype(float),
                "plan": r.choice(["basic", "plus", "flex"], CUSTOMERS, p=[0.7, 0.27, 0.03]),
                "area": r.choice([f"a{i}" for i in range(10)], CUSTOMERS),
                "job": r.choice([f"j{i}" for i in range(12)], CUSTOMERS, p=jobs / jobs.sum()),
                "channel": r.choice(["app", "branch"], CUSTOMERS),
                "_heldout": r.random(CUSTOMERS) < 0.2,
            }
        )

    def night(self, rows: int, moved: float = 0.0) -> pl.DataFrame:
        """Rows of a night; `moved` is the share of customers who are on the rare plan tonight."""
        r = self.random
        frame = self.traits[r.permutation(CUSTOMERS)[:rows]]
        gone = pl.Series(r.random(rows) < 0.03)
        return frame.with_columns(
            balance=pl.when(~gone).then((pl.col("wealth") + pl.Series(r.normal(0, 0.5, rows))).exp()),
            spend=pl.Series(r.lognormal(5, 1, rows) * (r.random(rows) < 0.7)),
            logins=pl.Series(r.poisson(8, rows)),
            complaints=pl.Series(r.poisson(0.2, rows)),
            left=pl.Series(r.random(rows) < 0.15),
            plan=pl.when(pl.Series(r.random(rows) < moved)).then(pl.lit("flex")).otherwise("plan"),
        )

    def reference(self) -> Sample:
        return sample(
            pl.concat([self.night(NIGHTLY) for _ in range(REFERENCE_NIGHTS)]).sample(fraction=1, shuffle=True)
        )


def sample(frame: pl.DataFrame) -> Sample:
    return Sample(frame.with_columns(columns.people(frame, "customer")))


def score(rows: pl.DataFrame) -> np.ndarray:
    logit = 2.0 * (rows["plan"] == "flex") + 0.8 * rows["complaints"] - 0.2 * rows["logins"] - 0.005 * rows["tenure"]
    return 1 / (1 + np.exp(-logit.to_numpy()))


def judged(reference: Sample, frame: pl.DataFrame, seed: int) -> Night:
    current = sample(frame)
    return Night(DECLARATION, reference, current, current.heldout, score, seed)


def main(nights: int) -> None:
    for rows in (3_000, 200, 48):
        world, start = World(rows), time.perf_counter()
        days = drifted = loud = tested = 0
        for number in range(nights):
            if number % 30 == 0:
                reference = world.reference()
            night = judged(reference, world.night(rows), number)
            verdicts = [m for v in night.verdicts.values() for m in (v.values, v.missing) if m and m.value is not None]
            days += bool(night.day.drifted)
            drifted += sum(m.drifted for m in verdicts)
            loud += sum(m.value > m.noise for m in verdicts)
            tested += len(verdicts)
        seen = judged(reference, world.night(rows, moved=0.35), 0).day
        seconds = (time.perf_counter() - start) / nights
        print(
            f"{rows:5} rows: {days} of {nights} days, {drifted} of {tested} columns drifted, {loud} above the noise; "
            f"a third moved: {seen.reason}; {seconds:.2f} s a night"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
