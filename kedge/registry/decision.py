"""A decision about a challenger, and the champion that stands after it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Action = Literal["promote", "refuse", "needs_approval"]


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model in production.

    Attributes:
        model: its version id in the lake.
        since: last night of its window, the partition date on which it came into production: it scores what follows.
        nights: the partitions it was trained and judged on (the "trusted" nights of the next comparison).
        cause: why it was trained, e.g. `no champion`.
        trigger: who asked for it: `sensor`, `schedule` or `manual`.
        evaluation: version id of the evaluation that let it through.
        moved_at: wall clock, ISO 8601 UTC.
    """

    model: str
    since: str
    nights: tuple[str, ...]
    cause: str
    trigger: str
    evaluation: str
    moved_at: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Champion":
        return cls(**{**data, "nights": tuple(data["nights"])})


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided about one challenger.

    Attributes:
        action: `promote`, `refuse` or `needs_approval`.
        reason: one sentence for people.
        model: the challenger's version id.
        evaluation: version id of the evaluation it rests on; there is one decision per evaluation.
        trigger, cause: as in the training set.
        at: last night of the challenger's window (a partition date, not the wall clock).
        nights: the challenger's window.
        decided_at: wall clock, ISO 8601 UTC.
        number: position in the history, from 1; 0 until it is recorded.
        predecessor: model that was champion before, if any.
    """

    action: Action
    reason: str
    model: str
    evaluation: str
    trigger: str
    cause: str
    at: str
    nights: tuple[str, ...]
    decided_at: str
    number: int = 0
    predecessor: str | None = None

    @property
    def promoted(self) -> bool:
        return self.action == "promote"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "nights": list(self.nights)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Decision":
        return cls(**{**data, "nights": tuple(data["nights"])})

    def champion(self) -> Champion:
        """The champion that this promotion makes."""
        return Champion(
            model=self.model,
            since=self.at,
            nights=self.nights,
            cause=self.cause,
            trigger=self.trigger,
            evaluation=self.evaluation,
            moved_at=self.decided_at,
        )


@dataclass(frozen=True, kw_only=True)
class Reign:
    """How long a model was in production: partition dates, `until` None for the champion of today."""

    model: str
    since: str
    until: str | None
    reason: str
