"""What people may see of a column: every value, on either side, stands for nobody or for at least 11 people.

Numbers become bins, each represented by the clipped mean of its rows of both sides; categories with too few people are
merged into `(other)`. Rows are shuffled column by column, so that no row can be put together again from a picture that
plots several columns in row order.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kedge.drift.column import OTHER, Column, Side
from kedge.outcome import FEWEST_PEOPLE

_LEVELS = np.linspace(0.02, 0.98, 49)


@dataclass(frozen=True)
class _Cell:
    """Values that are shown as one: their codes and who has them, on each side."""

    codes: tuple[int, ...]
    people: tuple[frozenset[int], frozenset[int]]

    @property
    def shown(self) -> bool:
        return any(self.people) and all(not side or len(side) >= FEWEST_PEOPLE for side in self.people)

    @property
    def size(self) -> int:
        return len(self.people[0]) + len(self.people[1])

    def __add__(self, other: "_Cell") -> "_Cell":
        mine, theirs = self.people, other.people
        return _Cell(self.codes + other.codes, (mine[0] | theirs[0], mine[1] | theirs[1]))


def evidence(column: Column, *, seed: int) -> Column | None:
    """The column as it may be shown; None when a side has fewer than 11 people."""
    if column.num_people < FEWEST_PEOPLE:
        return None
    shown = _bins(column) if column.kind == "numeric" else _categories(column)
    random = np.random.default_rng(seed)
    return replace(shown, reference=_shuffled(shown.reference, random), current=_shuffled(shown.current, random))


def _shuffled(side: Side, random: np.random.Generator) -> Side:
    order = random.permutation(side.values.size)
    return Side(side.values[order], side.people[order])


def _categories(column: Column) -> Column:
    codes = (np.asarray(column.reference.values, np.int64), np.asarray(column.current.values, np.int64))
    cells = sorted(_cells(column, codes, len(column.labels)), key=lambda cell: (cell.size, cell.codes))
    rest = [cell for cell in cells if not cell.shown or column.labels[cell.codes[0]] == OTHER]
    kept = [cell for cell in cells if cell not in rest]
    while rest and not _sum(rest).shown:
        rest.append(kept.pop(0))
    labels = tuple(column.labels[cell.codes[0]] for cell in kept)
    renumbered = np.full(len(column.labels), len(labels))
    renumbered[[cell.codes[0] for cell in kept]] = np.arange(len(labels))
    reference, current = (Side(renumbered[code], side.people) for code, side in zip(codes, column.sides, strict=True))
    return Column(column.name, "category", reference, current, (*labels, OTHER) if rest else labels)


def _bins(column: Column) -> Column:
    edges = _edges(column)
    codes = tuple(np.searchsorted(edges, side.values, side="right") for side in column.sides)
    groups = list(_merged(_cells(column, (codes[0], codes[1]), edges.size + 1)))
    renumbered = np.zeros(edges.size + 1, np.int64)
    for number, cell in enumerate(groups):
        renumbered[list(cell.codes)] = number
    bins = [renumbered[code] for code in codes]
    values = np.concatenate([side.values for side in column.sides]).astype(np.float64)
    means = _rounded(_means(np.concatenate(bins), values))
    reference, current = (Side(means[b], side.people) for b, side in zip(bins, column.sides, strict=True))
    return Column(column.name, "numeric", reference, current)


def _means(bins: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each bin, its values clipped at its quartiles: the mean of twenty people of whom one is a billionaire
    would tell what the billionaire has."""
    order = np.lexsort((values, bins))
    starts = np.searchsorted(bins[order], np.arange(1, bins.max() + 1))
    groups = np.split(values[order], starts)
    return np.array([group.clip(group[group.size // 4], group[3 * group.size // 4]).mean() for group in groups])


def _rounded(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """To a hundred-thousandth of their spread: digits that no picture shows tell nothing but single values."""
    spread = float(np.ptp(means)) or float(np.abs(means).max()) or 1.0
    return np.round(means, 5 - int(np.floor(np.log10(spread))))


def _edges(column: Column) -> NDArray[np.float64]:
    """Where the finest bins start: at each value if there are few, else at quantiles of either side."""
    distinct = np.unique(np.concatenate([side.values for side in column.sides]))
    if distinct.size <= 2 * _LEVELS.size:
        return distinct[1:]
    return np.unique(np.concatenate([np.quantile(side.values, _LEVELS) for side in column.sides]))


def _cells(column: Column, codes: tuple[NDArray[np.int64], NDArray[np.int64]], num_codes: int) -> list[_Cell]:
    """One cell per code that has rows, in the order of codes."""
    sides = [_people_by_code(code, side.people, num_codes) for code, side in zip(codes, column.sides, strict=True)]
    cells = (_Cell((code,), pair) for code, pair in enumerate(zip(*sides, strict=True)))
    return [cell for cell in cells if any(cell.people)]


def _people_by_code(codes: NDArray[np.int64], people: NDArray[np.int64], num_codes: int) -> list[frozenset[int]]:
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(num_codes + 1))
    listed = people[order].tolist()
    return [frozenset(listed[start:end]) for start, end in pairwise(bounds.tolist())]


def _merged(cells: Iterable[_Cell]) -> Iterator[_Cell]:
    """Neighbours merged until each group may be shown; what is left at the end joins the groups before it."""
    groups: list[_Cell] = []
    waiting: _Cell | None = None
    for cell in cells:
        waiting = cell if waiting is None else waiting + cell
        if waiting.shown:
            groups.append(waiting)
            waiting = None
    while waiting is not None and groups:
        waiting = groups.pop() + waiting
        if waiting.shown:
            groups.append(waiting)
            waiting = None
    return iter(groups if waiting is None else [waiting])


def _sum(cells: Iterable[_Cell]) -> _Cell:
    first, *others = cells
    for cell in others:
        first = first + cell
    return first
