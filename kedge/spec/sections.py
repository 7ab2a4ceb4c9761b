"""The sections of a declaration that set limits and policies: privacy, evaluation, training, drift, retraining."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kedge.spec.mistake import Flaw, Mistake, describe, not_supported
from kedge.spec.model import SpecModel
from kedge.spec.quantity import Days, Share, Texts
from kedge.spec.reserved import Reserved, only

_QUANTITY = re.compile(r"[1-9][0-9]*(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
Count = Annotated[int, Field(ge=1)]


def _one_subject(value: Any) -> Any:
    if type(value) is int and value > 1:
        raise not_supported(str(value), "1")
    return value


def _one_day(value: Any) -> Any:
    if isinstance(value, str) and value != "1d" and value.endswith("d"):
        raise not_supported(repr(value), "1d")
    return value


def _resource(value: Any) -> Any:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(text, str) and _QUANTITY.fullmatch(text):
        return text
    raise Flaw("a quantity such as 16Gi, 2 or 500m", describe(value), "Write it the way Kubernetes does.")


def _plain_path(text: str) -> bool:
    path = PurePosixPath(text)
    return bool(path.name) and ".." not in path.parts and not set(text) & set("{}*")


class Privacy(SpecModel):
    """Limits at the border between the zones.

    Attributes:
        k: every class of equal quasi-identifiers holds at least so many distinct subjects.
        mask_at_most: share of a day's rows that may lose quasi-identifiers to reach k.
        drop_at_most: share of a day's rows that may be dropped to reach k.
    """

    k: Count = Field(default=10, description="distinct subjects in every released class")
    mask_at_most: Share = Field(default=0.05, description="share of a day's rows that may be masked, such as 5%")
    drop_at_most: Share = Field(default=0.01, description="share of a day's rows that may be dropped, such as 1%")
    release: Annotated[Literal["day"], only("day", "week")] = Field(
        default="day", description="a day over budget is blocked"
    )
    l: Annotated[Count, BeforeValidator(_one_subject)] = Field(default=1, description="reserved for a later version")  # noqa: E741
    t: Reserved = None
    profile: Reserved = None


class Evaluation(SpecModel):
    """Who is held out, and which slices are looked at.

    Attributes:
        by: hold out whole people, whole blocks of consecutive rows, or all rows of equal features; by default people if
            there is a subject.
        slices: released columns whose values cut the held-out rows into slices.
        test: a file in the source's dialect whose rows never train; figures on it are shown, and no gate is judged.
    """

    holdout: Share = Field(default=0.2, description="share of people (or blocks) that never train, such as 20%")
    by: Literal["subject", "blocks", "features"] | None = Field(default=None, description="subject, blocks or features")
    slices: Texts = Field(default=(), description="a list of columns")
    test: str | None = Field(default=None, description="an official test file, such as test/labelled.csv")
    recent: Reserved = None

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        if "test" not in broken and self.test is not None and not _plain_path(self.test):
            remedy = "Name one file; relative paths start at KEDGE_DATA."
            yield Mistake(at=("test",), need="the path of a file, without .. { } *", got="another text", remedy=remedy)
        if "holdout" not in broken and not 0.05 <= self.holdout <= 0.5:
            yield Mistake(
                at=("holdout",), need="5% to 50%", got=f"{self.holdout:.3g}", remedy="20% is what kedge was tried with."
            )


class Training(SpecModel):
    """What is trained, on which nights and where."""

    window: Days = Field(default=60, description="how many nights a training set looks back, such as 60d")
    model: Literal["auto", "mlp"] = Field(default="auto", description="auto or mlp")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto, cpu or cuda")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(default=0, description="a whole number")


class Drift(SpecModel):
    """When a day counts as drifted, and how many such days ask for a retraining."""

    window: Annotated[Days, BeforeValidator(_one_day)] = Field(default=1, description="1d")
    share: Annotated[Share, Field(gt=0)] = Field(default=0.3, description="share of feature columns that must drift")
    patience: Count = Field(default=2, description="drifted nights in a row before a retraining is asked for")


class Retrain(SpecModel):
    """How often a retraining may happen, counted in partition dates."""

    cooldown: Days = Field(default=3, description="nights after a retraining without another, such as 3d")
    at_most_per_week: Count = Field(default=2, description="retrainings in any seven nights")
    at_least_every: Days | None = Field(default=None, description="age at which a champion is retrained, such as 30d")


class ChampionPolicy(SpecModel):
    """What a challenger must not fall short of."""

    margin: Annotated[float, Field(ge=0, le=0.2)] = Field(
        default=0.005, description="AUC (r2, deviance_gain) a challenger may seem to lose"
    )
    approval: Annotated[Literal["none"], only("none", "always", "required", "human")] = Field(
        default="none", description="none"
    )


class Erasure(SpecModel):
    """Reserved: what a person's erasure brings about."""

    retrain: Annotated[Literal["always"], only("always", "never")] = Field(default="always", description="always")


class Compute(SpecModel):
    """Resources of one asset's step on Kubernetes; without a cluster they have no effect."""

    gpu: Annotated[int, Field(ge=0)] | None = Field(default=None, description="number of GPUs")
    memory: Annotated[str, BeforeValidator(_resource)] | None = Field(default=None, description="memory such as 16Gi")
    cpu: Annotated[str, BeforeValidator(_resource)] | None = Field(default=None, description="cores such as 2 or 500m")


Asset = Literal[
    "raw", "validated", "quarantine", "anonymized", "training_set", "model", "training", "evaluation", "champion",
    "predictions", "drift_report", "labels",
]  # fmt: skip


def by_asset(compute: dict[Asset, Compute]) -> dict[Asset, Compute]:
    """Resources by asset; `training` is another word for the asset `model`, whose step trains.

    Raises:
        Flaw: both words are used.
    """
    if {"model", "training"} <= compute.keys():
        raise Flaw("either training or model", "both", "They mean the same asset; keep one.")
    return {"model" if asset == "training" else asset: wanted for asset, wanted in compute.items()}
