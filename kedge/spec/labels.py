"""Outcomes that arrive later than the rows they belong to: their files, and the columns that come from there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from kedge.spec.dialect import Dialect
from kedge.spec.mistake import Mistake, describe
from kedge.spec.quantity import Days, Texts
from kedge.spec.source import Source

if TYPE_CHECKING:
    from kedge.spec.columns import Column
    from kedge.spec.declaration import Declaration

LABELS = "labels"
"""What a column says in `from` when its values come with the labels."""


class Labels(Dialect):
    """One file of outcomes per day; `{date}` is the day of the rows that are labelled, not the day of its arrival.

    Attributes:
        files: path with `{date}`, relative to `Settings.data`.
        on: columns of the delivery that stand in the labels file too and say which row is meant.
        delay: days after a night by which its labels are expected.
        after: what becomes of a file once it is in the lake.
    """

    placeholders: ClassVar[dict[str, Any]] = {"files": "labels/{date}.csv", "on": ()}

    files: str = Field(description='path of the files, such as "labels/{date}.csv"')
    on: Texts = Field(description="a list of columns that the delivery and the labels share, such as [customer_id]")
    delay: Days = Field(default=1, description="days after its night by which a file is expected, such as 30d")
    after: Literal["keep", "delete", "archive"] = Field(default="keep", description="what becomes of a file taken in")

    @property
    def source(self) -> Source:
        """Where the labels come from, in the words of any other delivery."""
        dialect = {name: getattr(self, name) for name in Dialect.model_fields}
        return Source.model_construct(files=self.files, after=self.after, **dialect)

    def mistakes(self, broken: frozenset[str]) -> Iterator[Mistake]:
        if "files" not in broken and self.files.count("{date}") != 1:
            remedy = 'Give one file per day: files: "labels/{date}.csv".'
            yield Mistake(at=("files",), need="{date} exactly once", got=describe(self.files), remedy=remedy)
            broken |= {"files"}
        yield from self.source.mistakes(broken)
        if "on" not in broken and (not self.on or len(set(self.on)) < len(self.on)):
            got = "one twice" if self.on else "none"
            yield Mistake(at=("on",), need="at least one column, each once", got=got, remedy="Write on: [customer_id].")


def contract(declaration: "Declaration") -> "Declaration":
    """What a labels file has to be, said as the declaration of a delivery of its own.

    Its columns are those `on` which rows are matched, with a value in every row (they may repeat: the join looks at
    that), and those `from: labels`.

    Raises:
        ValueError: no labels are declared.
    """
    labels = declaration.labels
    if labels is None:
        raise ValueError("declaration: needs labels; got none. Correct the caller.")
    keys = {name: declaration.columns[name] for name in labels.on}
    late = {name: declaration.columns[name] for name in declaration.late}
    columns = {name: column.model_copy(update={"nulls": 0.0, "unique": False}) for name, column in keys.items()}
    columns |= {name: column.model_copy(update={"from_": None}) for name, column in late.items()}
    return declaration.model_copy(update={"source": labels.source, "columns": columns, "labels": None})


def column_mistakes(column: "Column") -> Iterator[Mistake]:
    """What a column from the labels cannot be: it is not there when rows cross the border and are scored."""
    if column.from_ != LABELS:
        return
    if column.feature:
        yield Mistake(
            at=("feature",),
            need="no feature among the labels: the model must not see what comes later than the row",
            got="feature: true",
            remedy="Remove it, or deliver the column with the rows.",
        )
    if column.role not in (None, "target"):
        yield _needs_delivery("role", column.role or "")
    for key in ("quasi", "protected"):
        if getattr(column, key):
            yield _needs_delivery(key, "true")
    if column.privacy is not None and column.privacy.kind != "drop":
        yield Mistake(
            at=("privacy",),
            need="drop (not even stored), or nothing: labels stay in the restricted zone",
            got=column.privacy.kind,
            remedy="Write privacy: drop if nobody needs the column, or remove the setting.",
        )


def mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    """What is wrong between `labels` and the columns; settings named in `broken` are not judged again."""
    if "labels" in broken:
        return
    columns = {name: column for name, column in declaration.columns.items() if f"columns.{name}" not in broken}
    late = [name for name, column in columns.items() if column.from_ == LABELS]
    labels = declaration.labels
    if labels is None:
        for name in late:
            remedy = 'Write labels: {files: "labels/{date}.csv", on: [customer_id], delay: 30d}, or remove from.'
            yield Mistake(at=("columns", name, "from"), need="labels to be declared", got="none", remedy=remedy)
        return
    for position, name in enumerate(labels.on):
        if f"columns.{name}" in broken or (name in columns and columns[name].from_ is None):
            continue
        got = f"{name!r}, which comes from elsewhere" if name in columns else f"{name!r}, which is not declared"
        remedy = "Take columns that stand in both files."
        yield Mistake(at=("labels", "on", position), need="a column of the delivery", got=got, remedy=remedy)
    for name, column in columns.items():
        if column.role == "target" and column.from_ != LABELS:
            remedy = "Write from: labels, or remove labels."
            yield Mistake(at=("columns", name), need="from: labels for the target", got="none", remedy=remedy)
    if "source" not in broken and labels.files == declaration.source.files:
        remedy = "Keep labels apart from the rows: they arrive at another time."
        yield Mistake(at=("labels", "files"), need="other files than source.files", got="the same", remedy=remedy)


def _needs_delivery(key: str, got: str) -> Mistake:
    need = "a column of the delivery: labels are not there yet when rows cross the border"
    return Mistake(at=(key,), need=need, got=f"{key}: {got} and from: labels", remedy=f"Remove {key} or from.")
