"""What each quasi-identifier costs: the question behind every exceeded budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from kedge.privacy.classes import exposed


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Shares of rows in classes of fewer than k people, before masking.

    Attributes:
        now: with all quasi-identifiers.
        without: by the quasi-identifier that is left out.
    """

    now: float
    without: Mapping[str, float]

    @property
    def worst(self) -> str | None:
        """The quasi-identifier without which the fewest rows are in small classes."""
        return min(self.without, key=lambda name: (self.without[name], name)) if self.without else None

    @property
    def advice(self) -> str:
        if self.worst is None or self.without[self.worst] >= self.now:
            return "The day has too few people for its quasi-identifiers: generalise them more or lower privacy.k."
        return (
            f"Column {self.worst} costs most: {self.now:.1%} of the rows are in classes below k, without it "
            f"{self.without[self.worst]:.1%}. Give it wider bins or a shorter prefix, drop it, or lower privacy.k."
        )


def costs(frame: pl.DataFrame, quasi: Sequence[str], k: int, subject: str | None) -> Costs:
    """Measure on generalised rows that are not masked yet."""
    rows = max(1, frame.height)
    left = {name: [other for other in quasi if other != name] for name in quasi}
    return Costs(
        now=exposed(frame, quasi, k, subject) / rows,
        without={name: exposed(frame, others, k, subject) / rows for name, others in left.items()},
    )
