"""The official test set: rows that never train, on which figures are shown and no gate is judged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from kedge.evaluation.figures import Figures
from kedge.evaluation.heldout import HeldOut, known
from kedge.evaluation.metrics import Floats
from kedge.evaluation.sets import recent
from kedge.lake import RAW, Version, raw_ancestor, stack_rows
from kedge.spec import Declaration

TEST = "test"
"""Name of the set beside recent and trusted."""


@dataclass(frozen=True)
class Official:
    """The rows of `evaluation.test`.

    Attributes:
        version: the rows as released, with `_row`.
        score: gives (n,) scores of a stored model for such rows.
    """

    version: Version
    score: Callable[[Version, pl.DataFrame], Floats]

    def figures(
        self,
        declaration: Declaration,
        models: Mapping[str, Version],
        baseline: Callable[[HeldOut], Floats],
        columns: Sequence[str],
    ) -> Figures:
        """Every model on the whole test set.

        Args:
            models: `challenger` and, after the first, `champion`.
            baseline: scores of the baseline.
            columns: released columns that somebody looks at.
        """
        frame = stack_rows([self.version], ["_row", *columns]).filter(known(declaration)).collect()
        frame = frame.with_columns(pl.lit(raw_ancestor(self.version)).alias(RAW))
        held = HeldOut(frame, declaration)
        scores = {name: self.score(model, frame) for name, model in models.items()} | {"baseline": baseline(held)}
        enough = recent(held.counts(), (), declaration.task).enough
        found = Figures.measure(held, scores, enough=enough, seed=declaration.training.seed)
        return replace(found, nights=())  # it belongs to none
