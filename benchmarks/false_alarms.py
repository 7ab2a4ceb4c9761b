"""How often a quiet night looks drifted, by size of the night.

    .venv/bin/python benchmarks/false_alarms.py [--nights N] [--json FILE]

A world that does not change: 20,000 customers who keep their traits, whose balances and logins vary from night to
night, drawn anew every night. The reference is 13 nights of 3,000; a new one after every 30 nights.

Figures per size of night (3,000, 200 and 48 rows): `drifted_days_<size>_share`, `drifted_columns_<size>_share`,
`loud_columns_<size>_share` (the distance passed the noise bound; expected: at most 0.1 % of the nights times one
column), `night_<size>_seconds`, and `change_seen_<size>_count`: 1 if a world in which a third of the customers moved
drifts by the same settings.
"""

import time

import numpy as np
import polars as pl
from report import parser, report

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


def counted(rows: int, nights: int) -> dict[str, float]:
    """The figures of one size of night."""
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
    seconds = (time.perf_counter() - start) / nights
    return {
        f"drifted_days_{rows}_share": days / nights,
        f"drifted_columns_{rows}_share": drifted / tested,
        f"loud_columns_{rows}_share": loud / tested,
        f"night_{rows}_seconds": seconds,
        f"change_seen_{rows}_count": int(bool(judged(reference, world.night(rows, moved=0.35), 0).day.drifted)),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--nights", type=int, default=300)
    arguments = options.parse_args()
    figures: dict[str, float] = {}
    for rows in (3_000, 200, 48):
        figures |= counted(rows, arguments.nights)
    report("false_alarms", figures, arguments.json)


if __name__ == "__main__":
    main()
