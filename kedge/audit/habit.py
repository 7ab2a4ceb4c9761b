"""What is usual: how many versions somebody reads a day, at which hours people come, which nights leave routinely.

Everything here is a count by identity and day: no version, no person whose data it is. Days are ordinals of local
dates.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

CHANCE = 1e-5
"""How often chance alone may pass the bound on one identity's day (one-sided)."""

FACTOR = 3
"""And at least so many times the largest count of the history: chance is not all that makes days differ."""

FEW = 20
"""Fewer versions a day are never too many."""

ENOUGH_DAYS = 10
"""Days of an identity's own from which its counts are judged by them; before, by everybody's."""

_LEAST_DISPERSION = 0.1
"""Days of people differ at least so much (variance over the squared mean, beyond Poisson's): a short history of equal
days must not make the next one look impossible."""

ROUTINE_AGE, ROUTINE_DAYS = 31, 5


def bound(own: Sequence[int], everybody: Sequence[int], least: int = FEW) -> int:
    """The largest count of a day that is still usual.

    The larger of `least`, `FACTOR` times the maximum and the upper `CHANCE` quantile of a negative binomial, which is
    a Poisson whose rate varies from day to day (Greenwood and Yule, 1920), fitted by moments. Predicting one more day
    from n adds 1/n to the variance of the mean.

    Args:
        own: counts on the identity's days with access; `everybody`'s where these are fewer than `ENOUGH_DAYS`.
    """
    counts = own if len(own) >= ENOUGH_DAYS else [*everybody]
    if not counts:
        return least
    largest = FACTOR * max(counts)
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / max(1, len(counts) - 1)
    dispersion = max((variance - mean) / mean**2, _LEAST_DISPERSION) + 1 / len(counts)
    return max(least, largest, quantile(mean, dispersion))


def quantile(mean: float, dispersion: float, chance: float = CHANCE) -> int:
    """Smallest x with P(X > x) <= chance, X negative binomial with this mean and variance mean + dispersion mean^2."""
    size = 1 / dispersion
    success = size / (size + mean)
    mass = math.exp(size * math.log(success))
    below, x = mass, 0
    while 1 - below > chance:
        mass *= (x + size) / (x + 1) * (1 - success)
        x += 1
        below += mass
    return x


@dataclass
class Habit:
    """One identity's history: counts by day, and how old the nights were that it handed out.

    Attributes:
        counts: distinct versions, by day; of runs the most that one run of that day read.
        ages: days on which a night of that age was handed out, by age.
    """

    counts: dict[int, int] = field(default_factory=dict)
    ages: dict[int, list[int]] = field(default_factory=dict)

    def count(self, day: int, number: int) -> None:
        self.counts[day] = max(number, self.counts.get(day, 0))

    def forget(self, before: int) -> None:
        """Drop the days before `before`."""
        self.counts = {day: number for day, number in self.counts.items() if day >= before}
        self.ages = {age: kept for age, days in self.ages.items() if (kept := [day for day in days if day >= before])}

    def hand_out(self, day: int, age: int) -> bool:
        """Note that a night of that age was handed out; whether that is routine: nights of this age, or a day more or
        less, left on `ROUTINE_DAYS` other days before."""
        if not 0 <= age <= ROUTINE_AGE:
            return False
        before = {other for near in (age - 1, age, age + 1) for other in self.ages.get(near, ()) if other < day}
        days = self.ages.setdefault(age, [])
        if day not in days:
            days.append(day)
        return len(before) >= ROUTINE_DAYS

    def to_json(self) -> dict[str, Any]:
        return {"counts": [*self.counts.items()], "ages": [*self.ages.items()]}

    @classmethod
    def of_json(cls, data: dict[str, Any]) -> "Habit":
        return cls(dict(map(tuple, data["counts"])), dict(map(tuple, data["ages"])))


def pooled(habits: Iterable[Habit]) -> list[int]:
    """Counts of all of them."""
    return [number for habit in habits for number in habit.counts.values()]
