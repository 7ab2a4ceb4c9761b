"""The declaration of a pipeline: the one contract that every stage reads."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr

from kedge.spec import comparison, parts
from kedge.spec.audit import Audit
from kedge.spec.canonical import digest
from kedge.spec.coherence import DATES, NUMBERS
from kedge.spec.columns import Column
from kedge.spec.gates import LEAD, Gate, Metric, Task, with_metrics
from kedge.spec.labels import LABELS, Labels
from kedge.spec.mistake import Flaw, Mistake
from kedge.spec.model import SpecModel
from kedge.spec.names import NAME, NAME_NEED, check_name
from kedge.spec.quantity import Share
from kedge.spec.reserved import Reserved
from kedge.spec.sections import (
    Asset,
    ChampionPolicy,
    Compute,
    Drift,
    Erasure,
    Evaluation,
    Privacy,
    Retrain,
    Training,
    by_asset,
)
from kedge.spec.source import Partitions, Source

_OWNER = re.compile(r"team:[A-Za-z0-9_-]+|[^@\s]+@[^@\s]+\.[^@\s]+")


def _owner(value: str) -> str:
    if _OWNER.fullmatch(value):
        return value
    raise Flaw("an e-mail address or team:<name>", "another text", "Write team:retention, for instance.")


def _column(value: str) -> str:
    if NAME.fullmatch(value):
        return value
    raise Flaw(NAME_NEED, "another name", "Rename it; in a file's header other characters count as _.")


class Declaration(SpecModel):
    """Everything that is said about one pipeline, as written under `attributes:` in its `defs.yaml`.

    Settings at their default are left out of `digest` and `part`, so that keys added later leave stored versions valid.
    """

    placeholders: ClassVar[dict[str, Any]] = {
        "partitions": {"start": "2026-01-01"},
        "source": {"files": "{date}.csv"},
        "columns": {},
    }
    mappings: ClassVar[frozenset[str]] = frozenset({"columns", "gates", "compute"})

    description: str = Field(default="", description="what the model predicts and for whom")
    owners: Annotated[tuple[Annotated[str, AfterValidator(_owner)], ...], Field(strict=False)] = Field(
        default=(), description="a list of e-mail addresses or team:<name>"
    )
    partitions: Partitions = Field(description="the calendar, at least {start: 2026-01-01}")
    source: Source = Field(description='where deliveries come from, at least {files: "inbox/{date}.csv"}')
    labels: Labels | None = Field(
        default=None, description='where outcomes come from, such as {files: "labels/{date}.csv", on: [customer_id]}'
    )
    columns: dict[Annotated[str, AfterValidator(_column)], Column] = Field(description="every column of a delivery")
    quarantine_at_most: Share = Field(default=0.1, description="share of a day's rows that may fail the contract")
    privacy: Privacy = Field(default=Privacy(), description="limits at the border between the zones")
    evaluation: Evaluation = Field(default=Evaluation(), description="who is held out")
    training: Training = Field(default=Training(), description="what is trained")
    gates: Annotated[dict[Metric, Gate], AfterValidator(with_metrics)] = Field(
        default={}, description='a mapping such as {auc: ">= 0.75"}'
    )
    drift: Drift = Field(default=Drift(), description="when a day counts as drifted")
    retrain: Retrain = Field(default=Retrain(), description="how often a retraining may happen")
    champion: ChampionPolicy = Field(default=ChampionPolicy(), description="what a challenger must not fall short of")
    compute: Annotated[dict[Asset, Compute], AfterValidator(by_asset)] = Field(
        default={}, description="resources of an asset's step"
    )
    erasure: Erasure = Field(default=Erasure(), description="reserved for a later version")
    alerts: Reserved = None
    audit: Audit = Field(default=Audit(), description="where the log is anchored, and which access is unusual")
    fairness: Reserved = None
    retention: Reserved = None

    _name: str = PrivateAttr("")

    @classmethod
    def named(cls, name: str, attributes: dict[str, Any] | Self) -> Self:
        """The declaration of the pipeline `name`, from what stands under `attributes:` or from that already validated.

        Raises:
            Terminal: the name is not on the allow-list.
            pydantic.ValidationError: mistakes in `attributes`, all of them.
        """
        declaration = attributes.model_copy() if isinstance(attributes, cls) else cls.model_validate(attributes)
        declaration._name = check_name("pipeline", name)
        return declaration

    def model_post_init(self, context: Any, /) -> None:
        """Fill in the one default that depends on other settings; pydantic's frozen models allow it only this way."""
        by = self.evaluation.by or ("subject" if self.subject else "blocks")
        object.__setattr__(self, "evaluation", self.evaluation.model_copy(update={"by": by}))

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        return comparison.mistakes(self, broken)

    @property
    def name(self) -> str:
        """The pipeline's name: the name of its folder."""
        return self._name

    @property
    def subject(self) -> str | None:
        """Column that says whose data a row is."""
        return next((name for name, column in self.columns.items() if column.role == "subject"), None)

    @property
    def target(self) -> str:
        """Column to predict."""
        return next(name for name, column in self.columns.items() if column.role == "target")

    @property
    def task(self) -> Task:
        """What is learned, by the type of the target: binary (a class), regression (float) or count (integer)."""
        kinds: dict[str, Task] = {"float": "regression", "integer": "count"}
        return kinds.get(self.columns[self.target].type, "binary")

    @property
    def lead(self) -> Metric:
        """The figure that models are compared by and the champion's margin is in: auc, r2 or deviance_gain."""
        return LEAD[self.task]

    @property
    def exposure(self) -> str | None:
        """Column that says for how long a row was at risk; a count is expected in proportion to it."""
        return next((name for name, column in self.columns.items() if column.role == "exposure"), None)

    @property
    def positive(self) -> str:
        """The positive class as text: "true" for bool, else `positive` or the last of the target's two values."""
        target = self.columns[self.target]
        return target.positive or (target.values[-1] if target.values else "true")

    @property
    def delivered(self) -> tuple[str, ...]:
        """Columns that stand in a delivery, in declared order: those without `from`."""
        return tuple(name for name, column in self.columns.items() if column.from_ is None)

    @property
    def late(self) -> tuple[str, ...]:
        """Columns whose values arrive with the labels, in declared order."""
        return tuple(name for name, column in self.columns.items() if column.from_ == LABELS)

    @property
    def delivery(self) -> Self:
        """The declaration as a delivery has to meet it: without the columns that arrive later."""
        kept = {name: column for name, column in self.columns.items() if name not in self.late}
        return self.model_copy(update={"columns": kept}) if self.late else self

    @property
    def released(self) -> tuple[str, ...]:
        """Columns of the anonymized dataset, in declared order."""
        columns = self.delivery.columns
        return tuple(name for name, column in columns.items() if column.treatment != "drop")

    @property
    def quasi(self) -> tuple[str, ...]:
        """Released columns that are masked where too few people share their values, in declared order."""
        return tuple(name for name, column in self.columns.items() if column.quasi)

    @property
    def features(self) -> tuple[str, ...]:
        """What the model sees: released columns without a role that are not token, redact or protected, or as said."""
        return tuple(name for name in self.released if parts.is_feature(self.columns[name]))

    def feature_kind(self, column: str) -> Literal["numeric", "category"]:
        """How the model reads a column: numbers and dates (binned or not) as numeric, the rest as category."""
        return "numeric" if self.columns[column].type in NUMBERS | DATES else "category"

    def part(self, stage: str) -> dict[str, Any]:
        """What a stage's stored version depends on: JSON-able, defaults left out.

        Raises:
            ValueError: unknown stage.
        """
        return parts.part(self, stage)

    @property
    def digest(self) -> str:
        """Digest of the whole declaration without defaults and without the name; 64 hexadecimal digits."""
        return digest(parts.stated(self))
