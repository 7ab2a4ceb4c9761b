"""Classes: rows with equal quasi-identifiers, and the masking that leaves none with fewer than k people.

k-anonymity (Sweeney 2002) by local suppression: rows of a class that is too small lose quasi-identifiers until
their class is large enough. A missing quasi-identifier is a value like any other: rows that miss the same ones
form a class. People are counted, not rows: somebody with ten rows hides nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl

# Sets of columns that are tried by exact loss; with more than 8 quasi-identifiers the rest is a chain to "all".
MAX_SETS = 255
_AT, _PERSON = "_at", "_person"


@dataclass(frozen=True, kw_only=True)
class Classes:
    """What an observer of the rows can tell apart.

    Attributes:
        k: people in the smallest class; 0 without rows.
        classes: number of classes.
        people: distinct subjects over all rows.
    """

    k: int
    classes: int
    people: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Masked:
    """Rows that may be released, and those that may not.

    Attributes:
        frame: the released rows in their old order; only quasi-identifiers have changed, and only to missing.
        dropped: the rows of which even the class with nothing but missing quasi-identifiers was too small, as they
            would look in it: for scoring, never for release.
        masked_rows: released rows that lost at least one quasi-identifier.
        masked_cells: values lost per quasi-identifier.
        k_measured, classes: of the released rows, measured afresh on the result.
        people: distinct subjects before anything was masked.
    """

    frame: pl.DataFrame
    dropped: pl.DataFrame
    masked_rows: int
    masked_cells: Mapping[str, int]
    k_measured: int
    classes: int
    people: int

    @property
    def rows(self) -> int:
        """All rows, released or not."""
        return self.frame.height + self.dropped.height

    @property
    def dropped_rows(self) -> int:
        return self.dropped.height


def measure(frame: pl.LazyFrame | pl.DataFrame, quasi: Sequence[str], subject: str | None) -> Classes:
    """Count the people of each class; without a subject every row is a person, a missing subject is nobody."""
    slim = _slim(frame, quasi, subject)
    people = slim[_PERSON].drop_nulls().n_unique()
    if not quasi:
        return Classes(k=people, classes=min(1, slim.height), people=people, rows=slim.height)
    sizes = _sizes(slim, quasi)
    smallest = sizes[_PERSON].min() if sizes.height else 0
    assert isinstance(smallest, int)
    return Classes(k=smallest, classes=sizes.height, people=people, rows=slim.height)


def mask(frame: pl.DataFrame, quasi: Sequence[str], k: int, subject: str | None) -> Masked:
    """Release the rows in classes of at least `k` people, least loss first.

    Of all sets of quasi-identifiers whose loss puts a row into a class of `k`, the one with the least entropy
    (in bits, over the whole frame) is taken. The classes that were large enough are left alone.

    Args:
        frame: generalised rows.
        quasi: the quasi-identifiers among its columns.
        k: people that each released class must hold, at least 1.
        subject: column that says whose row it is; None: every row is a person.
    """
    slim = _slim(frame, quasi, subject)
    lost, dropped = _decide(slim, quasi, k)
    emptied = frame.with_columns(pl.when(~pl.Series(lost[name])).then(pl.col(name)).alias(name) for name in quasi)
    hidden = pl.Series(dropped)
    released, held = emptied.filter(~hidden), emptied.filter(hidden)
    cells = {name: lost[name] & frame[name].is_not_null().to_numpy() for name in quasi}
    found = measure(released, quasi, subject)
    return Masked(
        frame=released,
        dropped=held,
        masked_rows=int(np.any([~dropped & cells[name] for name in quasi], axis=0).sum()) if quasi else 0,
        masked_cells={name: int((cells[name] & ~dropped).sum()) for name in quasi},
        k_measured=found.k,
        classes=found.classes,
        people=slim[_PERSON].drop_nulls().n_unique(),
    )


def exposed(frame: pl.DataFrame, quasi: Sequence[str], k: int, subject: str | None) -> int:
    """Rows in classes of fewer than `k` people."""
    slim = _slim(frame, quasi, subject)
    if not quasi:
        return slim.height if slim[_PERSON].drop_nulls().n_unique() < k else 0
    return slim.join(_sizes(slim, quasi).filter(pl.col(_PERSON) < k), on=quasi, how="semi", nulls_equal=True).height


def _slim(frame: pl.LazyFrame | pl.DataFrame, quasi: Sequence[str], subject: str | None) -> pl.DataFrame:
    """Position, quasi-identifiers and person: all that masking looks at."""
    person = pl.int_range(pl.len()) if subject is None else pl.col(subject)
    at = pl.int_range(pl.len(), dtype=pl.UInt32)
    return frame.lazy().select(at.alias(_AT), *quasi, person.alias(_PERSON)).collect()


def _sizes(slim: pl.DataFrame, quasi: Sequence[str]) -> pl.DataFrame:
    """People of each class."""
    return slim.group_by(quasi).agg(pl.col(_PERSON).drop_nulls().n_unique().cast(pl.Int64))


def _decide(slim: pl.DataFrame, quasi: Sequence[str], k: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Which rows lose which quasi-identifier, and which rows are dropped (these lose all)."""
    lost = {name: np.zeros(slim.height, dtype=bool) for name in quasi}
    dropped = np.zeros(slim.height, dtype=bool)
    if not quasi:
        dropped[:] = slim[_PERSON].drop_nulls().n_unique() < k
        return lost, dropped
    small = _sizes(slim, quasi).filter(pl.col(_PERSON) < k)
    pending = slim.join(small, on=quasi, how="semi", nulls_equal=True)
    settled = slim.join(small, on=quasi, how="anti", nulls_equal=True)
    settled = settled.filter(pl.any_horizontal(pl.col(name).is_null() for name in quasi))  # others cannot be joined
    for names in _by_loss({name: _entropy(slim[name]) for name in quasi}) if pending.height else ():
        fixed = _fit(pending, settled, quasi, names, k)
        for name in names:
            lost[name][fixed[_AT].to_numpy()] = True
        settled = pl.concat([settled, fixed])
        pending = pending.join(fixed, on=_AT, how="anti")
        if pending.is_empty():
            break
    dropped[pending[_AT].to_numpy()] = True
    for name in quasi:
        lost[name] |= dropped
    return lost, dropped


def _fit(
    pending: pl.DataFrame, settled: pl.DataFrame, quasi: Sequence[str], names: Sequence[str], k: int
) -> pl.DataFrame:
    """The pending rows that without `names` are in a class of `k` people, in that form."""
    candidates = pending.with_columns(pl.lit(None, pending.schema[name]).alias(name) for name in names)
    rivals = settled.filter(pl.all_horizontal(pl.col(name).is_null() for name in names))
    enough = _sizes(pl.concat([candidates, rivals]), quasi).filter(pl.col(_PERSON) >= k)
    return candidates.join(enough, on=quasi, how="semi", nulls_equal=True)


def _entropy(values: pl.Series) -> float:
    """In bits; summed in sorted order, so that equal columns tie on every run."""
    shares = np.sort(values.value_counts()["count"].to_numpy()) / len(values)
    return float(-(shares * np.log2(shares)).sum())


def _by_loss(bits: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Sets of columns to lose, least loss first, the last being all of them."""
    names = sorted(bits, key=lambda name: (bits[name], name))
    sets: list[tuple[str, ...]] = []
    for size in range(1, len(names) + 1):
        sets += [chosen for _, chosen in zip(range(MAX_SETS - len(sets)), combinations(names, size), strict=False)]
    sets += [tuple(names[:size]) for size in range(1, len(names) + 1) if tuple(names[:size]) not in sets]
    yield from sorted(sets, key=lambda chosen: (round(sum(bits[name] for name in chosen), 9), chosen))
