"""The anonymization plan: what happens to each column at the border, as a value with an id.

A model keeps the plan it was trained under and every row it scores goes through that plan, whatever the
declaration says by then.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from kedge.errors import Terminal
from kedge.spec.canonical import digest

if TYPE_CHECKING:
    from kedge.spec import Declaration

# Raised by hand whenever the same plan would treat some value differently: it is a part of the plan's id.
METHOD = 1
ROW = "_row"
TREATMENTS = frozenset({"drop", "token", "bins", "prefix", "redact"})


@dataclass(frozen=True, kw_only=True)
class PlannedColumn:
    """What happens to one column.

    Attributes:
        type: declared type, such as `date`.
        treatment: drop, token, bins, prefix or redact; None releases the column as it is.
        quasi: whether it takes part in the classes.
        domain: of the token.
        width, unit: of a bin; `unit` is y, m or d for dates and None for numbers.
        length: characters that a prefix keeps.
    """

    name: str
    type: str
    treatment: str | None = None
    quasi: bool = False
    domain: str | None = None
    width: float | None = None
    unit: str | None = None
    length: int | None = None

    def __post_init__(self) -> None:
        if self.treatment is not None and self.treatment not in TREATMENTS:
            raise self._unfit("one of " + ", ".join(sorted(TREATMENTS)), "another treatment")
        if self.treatment == "bins" and not (self.width and self.width > 0):
            raise self._unfit("bins with a width above 0", "none")
        whole = self.type == "integer" or self.unit is not None
        if self.treatment == "bins" and whole and self.width != int(self.width or 0):
            raise self._unfit(f"a whole number as width of bins of type {self.type}", f"{self.width:g}")
        if self.treatment == "prefix" and not self.length:
            raise self._unfit("a prefix of at least 1 character", "none")

    def _unfit(self, need: str, got: str) -> Terminal:
        return Terminal(f"columns.{self.name}.privacy", need=need, got=got, remedy="Change the declaration.")

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None and value is not False}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How rows cross the border: columns in declared order, the size `k` of the smallest class, and the subject.

    Attributes:
        k: people that every released class holds at least.
        subject: column that says whose row it is; None where every row is a person.
        method: version of the code that carries the plan out.
    """

    columns: tuple[PlannedColumn, ...]
    k: int
    subject: str | None = None
    method: int = METHOD

    def __post_init__(self) -> None:
        if self.method != METHOD:
            raise Terminal(
                "plan.method",
                need=f"{METHOD}, which this release of kedge carries out",
                got=f"{self.method}",
                remedy="Train a model anew, or use the release of kedge that the plan was made by.",
            )

    @classmethod
    def of(cls, declaration: "Declaration") -> Self:
        """The plan that a declaration asks for."""
        columns = []
        for name, column in declaration.delivery.columns.items():
            how = column.privacy
            planned = PlannedColumn(
                name=name,
                type=column.type,
                treatment=how.kind if how else None,
                quasi=name in declaration.quasi,
                domain=(column.domain or name) if how and how.kind == "token" else None,
                width=how.width if how else None,
                unit=how.unit if how else None,
                length=how.length if how else None,
            )
            columns.append(planned)
        return cls(columns=tuple(columns), k=declaration.privacy.k, subject=declaration.subject)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(PlannedColumn(**column) for column in data["columns"])
        return cls(columns=columns, k=data["k"], subject=data.get("subject"), method=data["method"])

    def to_json(self) -> dict[str, Any]:
        columns = [column.to_json() for column in self.columns]
        return {"columns": columns, "k": self.k, "subject": self.subject, "method": self.method}

    @property
    def id(self) -> str:
        """`p` and 32 hexadecimal digits: equal plans, and only they, have equal ids."""
        return "p" + digest(self.to_json())[:32]

    @property
    def released(self) -> tuple[PlannedColumn, ...]:
        """The columns that cross the border, in declared order."""
        return tuple(column for column in self.columns if column.treatment != "drop")

    @property
    def quasi(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.quasi)
