"""Gates: what a model must reach on held-out people before it can become champion."""

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kedge.spec.mistake import Flaw, Mistake, describe
from kedge.spec.model import SpecModel

Task = Literal["binary", "regression", "count"]
Metric = Literal[
    "auc", "log_loss", "brier", "calibration_error", "accuracy", "precision", "recall", "worst_slice_auc",
    "rmse", "mae", "r2", "worst_slice_r2",
    "poisson_deviance", "deviance_gain", "worst_slice_deviance_gain",
]  # fmt: skip
METRICS: dict[Task, tuple[Metric, ...]] = {
    "binary": ("auc", "log_loss", "brier", "calibration_error", "accuracy", "precision", "recall", "worst_slice_auc"),
    "regression": ("rmse", "mae", "r2", "worst_slice_r2"),
    "count": ("poisson_deviance", "deviance_gain", "worst_slice_deviance_gain"),
}
LEAD: dict[Task, Metric] = {"binary": "auc", "regression": "r2", "count": "deviance_gain"}
"""What models are compared by, and slices too: without a unit, 1 at best, so that one margin suits every table."""

SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae", "poisson_deviance"})
_UNBOUNDED = frozenset({"log_loss", "rmse", "mae", "poisson_deviance"})
_TEXT = re.compile(r"(>=|<=)\s*([0-9]+(?:\.[0-9]+)?)")


class Gate(SpecModel):
    """A bound on one metric, written `">= 0.75"`.

    Attributes:
        op: `>=` for metrics where more is better, `<=` for the others.
        bound: inclusive; NaN never passes.
        text: the gate as people read it, e.g. `>= 0.75`.
    """

    metric: str
    op: Literal[">=", "<="]
    bound: float = Field(ge=0)
    text: str

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if isinstance(value, Gate):
            return value
        if isinstance(value, str) and (match := _TEXT.fullmatch(value.strip())):
            return {"metric": "", "op": match[1], "bound": float(match[2]), "text": f"{match[1]} {float(match[2])}"}
        raise Flaw('a bound such as ">= 0.75"', describe(value), "Write >= or <= and a number, in quotes.")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^{_TEXT.pattern}$"}

    def mistakes_for(self, metric: str) -> Iterator[Mistake]:
        """A bound that always or never holds for the metric, or `<=` where more is better (or the reverse)."""
        op = "<=" if metric in SMALLER_IS_BETTER else ">="
        if self.op != op:
            remedy = "Turn the sign round, or take another metric."
            yield Mistake(at=("gates", metric), need=f"{op} for {metric}", got=repr(self.text), remedy=remedy)
        if metric not in _UNBOUNDED and self.bound > 1:
            remedy = "Write it as a fraction of 1."
            yield Mistake(at=("gates", metric), need="a bound from 0 to 1", got=repr(self.text), remedy=remedy)


def with_metrics(gates: dict[Metric, Gate]) -> dict[Metric, Gate]:
    """The gates, each knowing its metric."""
    return {metric: gate.model_copy(update={"metric": metric}) for metric, gate in gates.items()}
