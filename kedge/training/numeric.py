"""Edges of a numeric feature, each the mean over at least 11 persons, and where values lie among them.

Piecewise-linear encoding: Gorishniy, Rubachev and Babenko, arXiv:2203.05556.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

import numpy as np

from kedge.outcome import FEWEST_PEOPLE
from kedge.training.arrow import Codes, Floats, distinct

SPAN = sqrt(3)  # positions of the training rows are about uniform on [-SPAN, SPAN]: mean 0, variance 1


@dataclass(frozen=True)
class Pieces:
    """Ascending edges of a feature's pieces; none if too few persons have a value.

    Attributes:
        edges: values beyond the first and the last are clipped to them.
        fill: the edge that stands in for a missing value (its indicator is set, too).
    """

    edges: tuple[float, ...]
    fill: float

    @classmethod
    def fit(cls, values: Floats, people: Codes, bins: int) -> Self:
        """Edges at about equal masses: the means of `bins + 1` groups of neighbouring values, short groups merged."""
        known = ~np.isnan(values)
        distinct, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        if len(distinct) == 0:
            return cls((), 0.0)
        mass = np.minimum(counts, counts.sum() / (bins + 1))  # a value that most rows share takes one edge, not most
        middle = (np.cumsum(mass) - mass / 2) / mass.sum()
        group = np.minimum((middle * (bins + 1)).astype(np.int64), bins)[inverse]
        edges = _means(values[known], people[known], np.unique(group, return_inverse=True)[1])
        return cls(tuple(float(edge) for edge in edges), float(edges[len(edges) // 2]) if len(edges) else 0.0)

    @property
    def num_pieces(self) -> int:
        """At least 1: a feature without two edges is one piece on which every value has one position."""
        return max(1, len(self.edges) - 1)

    def positions(self, values: Floats) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Where values lie among the edges: piecewise linear, float32 in [-SPAN, SPAN].

        Computed in float64, for a datetime in float32 is known to two minutes only.
        """
        if len(self.edges) < 2:
            return np.zeros(len(values), np.float32)
        filled = np.where(np.isnan(values), self.fill, values)
        steps = np.linspace(-SPAN, SPAN, len(self.edges))
        return np.interp(filled, np.asarray(self.edges), steps).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        return {"edges": list(self.edges), "fill": self.fill}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(tuple(data["edges"]), data["fill"])


def _means(values: Floats, people: Codes, group: Codes) -> Floats:
    """Mean of each group, every person counted once, once a group holds `FEWEST_PEOPLE`; strictly ascending."""
    person = np.unique(people, return_inverse=True)[1]
    merged = _merge(person, group)
    if merged is None:
        return np.zeros(0)
    pairs, pair = np.unique(merged * (person.max() + 1) + person, return_inverse=True)
    own_mean = np.bincount(pair, weights=values) / np.bincount(pair)  # of one person within one group
    home = pairs // (person.max() + 1)
    means: Floats = np.bincount(home, weights=own_mean) / np.bincount(home)
    rises = np.concatenate([[True], np.diff(np.maximum.accumulate(means)) > np.abs(means[1:]) * 1e-12])
    return np.compress(rises, means)


def _merge(person: Codes, group: Codes) -> Codes | None:
    """Each row's new group: neighbours joined until each holds `FEWEST_PEOPLE`; None if there are fewer in all."""
    home, owner = np.divmod(distinct(group * (person.max() + 1) + person), person.max() + 1)
    owners = np.split(owner, np.flatnonzero(np.diff(home)) + 1)
    new, number, held = np.zeros(len(owners), np.int64), 0, set[int]()
    for old, own in enumerate(owners):
        if len(held) >= FEWEST_PEOPLE:
            number, held = number + 1, set()
        new[old] = number
        held |= set(own[:FEWEST_PEOPLE].tolist())
    if len(held) < FEWEST_PEOPLE:  # the last group is short: it joins the one before
        if number == 0:
            return None
        new[new == number] = number - 1
    return new[group]
