"""Columns: what they hold (the contract), whose data it is, and what happens to it at the border."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from kedge.spec import coherence
from kedge.spec.lag import Origin
from kedge.spec.mistake import Mistake, not_supported
from kedge.spec.model import SpecModel
from kedge.spec.names import NAME
from kedge.spec.quantity import Share, Texts, parse_date, parse_number
from kedge.spec.reserved import Reserved
from kedge.spec.treatment import FORMS, Kind, Treatment

Type = Literal["string", "category", "bool", "integer", "float", "date", "datetime"]
Format = Literal["email", "phone", "iban", "card", "ip"]


def _bound(value: Any) -> float | date:
    return parse_date(value) if isinstance(value, str | date) else parse_number(value)


_BOUND_SCHEMA = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "date"}]})
Bound = Annotated[Any, BeforeValidator(_bound), _BOUND_SCHEMA]


def _sensitive(value: Any) -> Any:
    if value is True:
        raise not_supported("true", "false")
    return value


def _or_labels(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(0, {"const": "labels"})


class Column(SpecModel):
    """One column of a delivery.

    Attributes:
        role: `subject` (whose data the row is), `target` (the outcome to predict) or `exposure` (how long, or how
            much of it, the row was at risk: a count target is so many per unit of it).
        privacy: what happens to it at the border; None releases it as it is.
        quasi: whether it helps to single a person out together with others; such columns are masked in small classes.
        values: all that may occur, in order; the last of a target's two is the positive one.
        aliases: other spellings and what they mean; replaced before the contract looks.
        positive: the value of a category target that is predicted; all others are the negative class.
        min, max: bounds, inclusive; numbers, or dates for dates.
        nulls: share of rows of a day that may be missing.
        domain: of the token; columns of one domain give equal tokens to equal values. Default: the column's name.
        feature: overrides whether the model sees it.
        from_: None: it stands in the delivery; `labels`: it arrives with them; a lag: taken from an earlier night.
    """

    placeholders: ClassVar[dict[str, Any]] = {"type": "string"}

    type: Type = Field(description="string, category, bool, integer, float, date or datetime")
    role: Literal["subject", "target", "exposure"] | None = Field(
        default=None, description="subject (whose row it is), target, or exposure of a count target"
    )
    privacy: Treatment | None = Field(default=None, description=f"what happens to it at the border: {FORMS}")
    quasi: bool = Field(
        default=False, description="whether it helps to single a person out together with other columns"
    )
    sensitive: Annotated[bool, BeforeValidator(_sensitive)] = Field(
        default=False, description="reserved for a later version"
    )
    protected: bool = Field(default=False, description="whether decisions must not depend on it; then it is no feature")
    values: Annotated[Texts, Field(min_length=1)] | None = Field(
        default=None, description="a list of all that may occur"
    )
    aliases: dict[str, str] = Field(default={}, description="a mapping of other spellings to what they mean")
    positive: str | None = Field(default=None, description="the value of the target that is predicted")
    min: Bound = Field(default=None, description="smallest allowed value")
    max: Bound = Field(default=None, description="largest allowed value")
    unique: bool = Field(default=False, description="whether no value may occur twice in a day")
    nulls: Share = Field(default=0.0, description="share of a day's rows that may be missing, such as 5%")
    format: Format | None = Field(default=None, description="email, phone, iban, card or ip")
    domain: Annotated[str, Field(pattern=f"^{NAME.pattern}$")] | None = Field(
        default=None, description="columns of one domain give equal tokens to equal values"
    )
    feature: bool | None = Field(default=None, description="whether the model sees it, if the rule of thumb is wrong")
    order: Reserved = None
    hierarchy: Reserved = None
    drift: Reserved = None
    from_: Origin | None = Field(
        default=None,
        alias="from",
        description="labels, or {column: NAME, lag: 1d, on: [NAME, ...]}: taken from an earlier night",
        json_schema_extra=_or_labels,
    )

    @property
    def treatment(self) -> Kind | None:
        """Kind of the treatment, None if it is released as it is."""
        return self.privacy.kind if self.privacy else None

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        return coherence.mistakes(self, broken)
