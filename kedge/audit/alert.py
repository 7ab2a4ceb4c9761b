"""An alert about the audit trail: who, what, how often, and which entries to look at."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kedge.spec.audit import Rule


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something unusual; holds who, what and how often, and where in the log to look.

    Attributes:
        rule: which rule, or `anchor` for a checkpoint that could not be kept in the second place.
        identity: who; runs of an identity end in ` (runs)`.
        day: local date of the last entry.
        count: what was counted.
        usual: the bound it passed, where there is one.
        first, last: numbers of the first and the last entry that belong to it.
    """

    rule: Rule | Literal["anchor"]
    identity: str
    day: str
    what: str
    count: int
    usual: int | None
    first: int
    last: int

    def __str__(self) -> str:
        where = f"entry {self.first}" if self.first == self.last else f"entries {self.first} to {self.last}"
        return f"{self.rule}: {self.identity}: {self.what} ({self.day}, {where})"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
