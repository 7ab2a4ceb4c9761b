"""Preprocessing that is part of the model: fitted on the training rows, saved and applied with it.

It is also evidence that people read, so nothing in it stands for fewer than `FEWEST_PEOPLE` persons: edges are means
over at least that many, extremes are clipped to the outermost edges, rarer categories share one bucket.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from kedge.training import arrow
from kedge.training.arrow import Codes
from kedge.training.category import Vocabulary
from kedge.training.numeric import Pieces


@dataclass(frozen=True)
class Feature:
    """A column that the model sees, and how: `numeric` (also dates) or `category`."""

    name: str
    kind: Literal["numeric", "category"]


@dataclass(frozen=True)
class Encoded:
    """Rows as the network takes them. B rows, N numeric features, C categories.

    Attributes:
        x_BN: float32 position among a feature's edges, in [-sqrt(3), sqrt(3)] (`Pieces.positions`).
        m_BN: float32, 1 where the value is missing.
        c_BC: int64 bucket of each category (`Vocabulary.buckets`).
    """

    x_BN: np.ndarray[Any, np.dtype[np.float32]]
    m_BN: np.ndarray[Any, np.dtype[np.float32]]
    c_BC: Codes

    def __len__(self) -> int:
        return len(self.x_BN)

    def rows(self, chosen: Any) -> "Encoded":
        """The rows that a slice, a mask or positions choose."""
        return Encoded(self.x_BN[chosen], self.m_BN[chosen], self.c_BC[chosen])


@dataclass(frozen=True)
class Encoder:
    """Fitted preprocessing.

    Attributes:
        numeric: pieces by feature, in the order of the network's inputs.
        category: vocabularies by feature, likewise.
    """

    numeric: Mapping[str, Pieces]
    category: Mapping[str, Vocabulary]

    @classmethod
    def fit(cls, table: pa.Table, features: Sequence[Feature], people: Codes, *, bins: int) -> Self:
        """Learn edges and vocabularies.

        Args:
            table: training rows with all features.
            people: whose row it is, one whole number per row.
            bins: most pieces of a numeric feature.
        """
        numbers = [f.name for f in features if f.kind == "numeric"]
        words = [f.name for f in features if f.kind == "category"]
        return cls(
            {name: Pieces.fit(arrow.floats(table, name), people, bins) for name in numbers},
            {name: Vocabulary.fit(arrow.texts(table, name), people) for name in words},
        )

    def encode(self, frame: Any) -> Encoded:
        """Rows for the network.

        Args:
            frame: `pyarrow.Table` or polars frame that holds all features; other columns are ignored.

        Raises:
            Terminal: a feature is missing or has another type.
        """
        table = arrow.as_table(frame)
        numbers = {name: arrow.floats(table, name) for name in self.numeric}
        x = [pieces.positions(numbers[name]) for name, pieces in self.numeric.items()]
        m = [np.isnan(values).astype(np.float32) for values in numbers.values()]
        c = [words.buckets(arrow.texts(table, name)) for name, words in self.category.items()]
        return Encoded(_stack(x, table, np.float32), _stack(m, table, np.float32), _stack(c, table, np.int64))

    def to_json(self) -> dict[str, Any]:
        return {
            "numeric": [[name, pieces.to_json()] for name, pieces in self.numeric.items()],
            "category": [[name, words.to_json()] for name, words in self.category.items()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            {name: Pieces.from_json(pieces) for name, pieces in data["numeric"]},
            {name: Vocabulary.from_json(words) for name, words in data["category"]},
        )


def _stack(columns: list[Any], table: pa.Table, dtype: Any) -> Any:
    return np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0), dtype)
