"""A column that is not delivered: the value that another one had some nights before."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field, PlainSerializer, ValidatorFunctionWrapHandler, WrapValidator

from kedge.spec.mistake import Flaw, Mistake, describe
from kedge.spec.model import SpecModel
from kedge.spec.quantity import Days, Texts

if TYPE_CHECKING:
    from kedge.spec.declaration import Declaration


class Lag(SpecModel):
    """Where a column's values are taken from: the validated rows of an earlier night.

    Attributes:
        column: whose value is taken.
        lag: nights earlier.
        on: columns that are equal in the two rows; no such row, or several, give no value.
    """

    column: str = Field(description="the delivered column whose earlier value is taken")
    lag: Days = Field(description="nights earlier, such as 1d")
    on: Texts = Field(description="a list of columns that are equal in both rows")

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        if "on" not in broken and (not self.on or len(set(self.on)) < len(self.on)):
            got = "one twice" if self.on else "none"
            yield Mistake(at=("on",), need="at least one column, each once", got=got, remedy="Write on: [customer_id].")


def _origin(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    if value == "labels":
        return value
    if isinstance(value, dict | Lag):
        return handler(value)
    raise Flaw(
        "labels, or a mapping {column: NAME, lag: 1d, on: [NAME, ...]}",
        describe(value),
        "Remove it, if the column is delivered.",
    )


def _stated(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Lag) else value


if TYPE_CHECKING:
    Origin: TypeAlias = Lag | Literal["labels"]
else:  # a plain union would report every mistake once per member
    Origin = Annotated[Lag, WrapValidator(_origin), PlainSerializer(_stated)]


def mistakes(declaration: "Declaration") -> Iterator[Mistake]:
    """What is wrong between a lagged column and the columns it stands on."""
    for name, column in declaration.columns.items():
        if isinstance(column.from_, Lag):
            yield from _unknown(declaration, name, column.from_)
            yield from _laxer(declaration, name, column.from_)
            if column.role is not None:
                got = f"role: {column.role}"
                yield _mistake(name, "role", "a column without a role", got, "Give the role to a delivered column.")
    if declaration.evaluation.test and any(column.from_ for column in declaration.columns.values()):
        need, got = "no column with from: (the rows of a test file belong to no night)", "one at least"
        yield Mistake(at=("evaluation", "test"), need=need, got=got, remedy="Remove one of the two.")


def _unknown(declaration: "Declaration", name: str, lag: Lag) -> Iterator[Mistake]:
    for key, wanted in (("column", [lag.column]), ("on", lag.on)):
        if not set(wanted) <= set(declaration.delivered):
            remedy = "Take columns that stand in the delivery itself."
            yield _mistake(name, key, "delivered columns", "another one", remedy)


def _laxer(declaration: "Declaration", name: str, lag: Lag) -> Iterator[Mistake]:
    """Yesterday's value is as personal as today's."""
    column, source = declaration.columns[name], declaration.columns.get(lag.column)
    if source is None:
        return
    decided = column.privacy is not None
    for key, protects, protected in (
        ("privacy", source.privacy is not None, decided),
        ("quasi", source.quasi, column.quasi or column.treatment in ("drop", "token", "redact")),
        ("protected", source.protected, column.protected or column.treatment == "drop"),
    ):
        if protects and not protected:
            need = f"{key} here too, since {lag.column} declares it"
            yield Mistake(at=("columns", name, key), need=need, got="none", remedy=f"Decide about {key}.")


def _mistake(name: str, key: str, need: str, got: str, remedy: str) -> Mistake:
    at = ("columns", name, key) if key == "role" else ("columns", name, "from", key)
    return Mistake(at=at, need=need, got=got, remedy=remedy)
