"""Stored models that score rows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl

from kedge.errors import Terminal
from kedge.lake import PARTITION, RAW, ROW, Version, raw_ancestor
from kedge.privacy.plan import Plan
from kedge.privacy.release import release
from kedge.spec import Declaration
from kedge.workspace import Workspace

if TYPE_CHECKING:
    from kedge.training.model import TabularModel

Scores: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def load_model(ws: Workspace, declaration: Declaration, version: Version) -> "TabularModel":
    """The network with its preprocessing, as it was trained.

    Raises:
        Tampered: stored bytes are not what was written.
    """
    from kedge.training.model import TabularModel

    return TabularModel.load({name: version.read_bytes(name) for name in version.manifest.files})


def plan_of(version: Version) -> Plan:
    """The anonymization plan a model was trained under."""
    return Plan.from_json(version.manifest.notes["plan"])


def scorer(ws: Workspace, declaration: Declaration) -> Callable[[Version, pl.DataFrame], Scores]:
    """A function that scores released rows with any stored model; each model is loaded once.

    A model always sees rows through its own plan: where that differs from the declaration's of today, the rows are
    looked up in the restricted zone by `_partition`, `_raw` and `_row` and released anew, in memory. They are those of
    the delivery they came with, also when their night has been delivered again since.
    """
    loaded: dict[str, TabularModel] = {}
    today = Plan.of(declaration).id

    def score(version: Version, frame: pl.DataFrame) -> Scores:
        if version.id not in loaded:
            loaded[version.id] = load_model(ws, declaration, version)
        model, plan = loaded[version.id], plan_of(version)
        rows = frame if plan.id == today else _through(ws, declaration, plan, frame)
        return model.score(rows.select(model.features))

    return score


def _through(ws: Workspace, declaration: Declaration, plan: Plan, frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows in the same order, as `plan` shows them."""
    if missing := {PARTITION, RAW, ROW} - set(frame.columns):
        raise Terminal(
            "rows to score",
            need=f"{PARTITION}, {RAW} and {ROW}, since the model was trained under another anonymization plan",
            got=f"rows without {' and '.join(sorted(missing))}",
            remedy="Pass the rows as they were read from the lake, with their raw version.",
        )
    place = [PARTITION, RAW, ROW]
    deliveries = frame.select(PARTITION, RAW).unique().sort(PARTITION, RAW).rows()
    shown = pl.concat([_night(ws, declaration, plan, *delivery) for delivery in deliveries])
    return frame.select(place).join(shown, on=place, how="left", maintain_order="left")


def _night(ws: Workspace, declaration: Declaration, plan: Plan, night: str, raw: str) -> pl.DataFrame:
    dataset = ws.dataset(declaration.name, "validated")
    stored = (dataset.current(night), *reversed(dataset.attempts(night)))  # the current one may be of a newer delivery
    released = (version for version in stored if version is not None and version.manifest.released)
    validated = next((version for version in released if raw_ancestor(version) == raw), None)
    if validated is None:
        raise Terminal(
            f"{declaration.name}/validated/{night}",
            need=f"the rows of raw version {raw}, which are to be scored",
            got="none, or those of another delivery",
            remedy="Run the night and the retraining again.",
        )
    both = release(validated.scan(), plan, ws.secrets(declaration.name))
    return pl.concat(both).with_columns(pl.lit(night).alias(PARTITION), pl.lit(raw).alias(RAW))
