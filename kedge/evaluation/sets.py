"""On which nights a challenger is judged: recent ones and trusted ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kedge.spec.gates import Task

LAST_NIGHTS = 7


@dataclass(frozen=True)
class Count:
    """Held-out rows of a night (or of several) and how many of them are positive (counts: above 0)."""

    rows: int = 0
    positives: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.rows + other.rows, self.positives + other.positives)

    @property
    def rarer(self) -> int:
        """Rows of the rarer class."""
        return min(self.positives, self.rows - self.positives)


@dataclass(frozen=True)
class Floor:
    """How many held-out rows a set should have."""

    rows: int
    rarer: int

    def reached(self, count: Count, task: Task = "binary") -> bool:
        """Of a number any rows tell something, of counts those above 0, of two classes those of the rarer one."""
        telling = {"binary": count.rarer, "regression": count.rows, "count": count.positives}[task]
        return count.rows >= self.rows and telling >= self.rarer


EPISODE_FLOOR = Floor(1_000, 100)
QUIET_FLOOR = Floor(2_000, 200)
"""Without an episode nothing says that the last nights differ, so more of them are asked for."""


@dataclass(frozen=True)
class Recent:
    """The recent nights, oldest first, and whether they reach the floor."""

    nights: tuple[str, ...]
    floor: Floor
    enough: bool


def recent(counts: Mapping[str, Count], episode: Sequence[str], task: Task = "binary") -> Recent:
    """The episode's nights, or the last seven without one, extended back until the floor is reached.

    Args:
        counts: night -> held-out rows of the challenger's window.
        episode: nights of the drift episode that caused the training; empty without one.
        task: what the outcomes are.
    """
    known = sorted(counts)
    chosen = [night for night in known if night in set(episode)]
    floor = EPISODE_FLOOR if chosen else QUIET_FLOOR
    chosen = chosen or known[-LAST_NIGHTS:]
    total = sum((counts[night] for night in chosen), Count())
    for night in reversed([night for night in known if chosen and night < chosen[0]]):
        if floor.reached(total, task):
            break
        chosen.insert(0, night)
        total += counts[night]
    return Recent(tuple(chosen), floor, floor.reached(total, task))
