"""Vocabulary of a category: the values that at least 11 persons have; all others share a bucket."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kedge.outcome import FEWEST_PEOPLE
from kedge.training.arrow import Codes, distinct

OTHER, MISSING, RESERVED = 0, 1, 2
MOST = 1000  # the most frequent are kept; more would be an identifier


@dataclass(frozen=True)
class Vocabulary:
    """Known values in alphabetical order; bucket of the first is `RESERVED`."""

    words: tuple[str, ...]

    @classmethod
    def fit(cls, values: pa.Array, people: Codes) -> Self:
        """Values that at least `FEWEST_PEOPLE` distinct persons have."""
        encoded = values.drop_null().dictionary_encode()
        owners = people[pc.is_valid(values).to_numpy(zero_copy_only=False)]
        span = owners.max(initial=0) + 1
        word = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        held = np.bincount(distinct(word * span + owners) // span, minlength=len(encoded.dictionary))
        common = sorted(zip(-held, encoded.dictionary.to_pylist(), strict=True))[:MOST]
        return cls(tuple(sorted(word for minus, word in common if -minus >= FEWEST_PEOPLE)))

    @property
    def num_buckets(self) -> int:
        return RESERVED + len(self.words)

    def buckets(self, values: pa.Array) -> Codes:
        """Bucket of each text: `OTHER`, `MISSING` or that of a known word; int64."""
        found = pc.index_in(values, value_set=pa.array(self.words, pa.large_string()))
        known = pc.fill_null(pc.add(found, RESERVED), OTHER)
        chosen = pc.if_else(pc.is_null(values), MISSING, known)
        return np.asarray(chosen.to_numpy(zero_copy_only=False), np.int64)

    def to_json(self) -> list[str]:
        return list(self.words)

    @classmethod
    def from_json(cls, data: Sequence[str]) -> Self:
        return cls(tuple(data))
