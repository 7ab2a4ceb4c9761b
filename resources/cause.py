"""Why a training was asked for, carried from a sensor to the training set as tags of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CAUSE, TRIGGER, UNTIL, EPISODE = "kedge/cause", "kedge/trigger", "kedge/until", "kedge/episode"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """The reason of one training.

    Attributes:
        cause: `<champion>:<first drifted night>:<attempt>` from the drift sensor, `no champion` for the first one,
            otherwise `asked for`.
        trigger: `sensor`, `person` or `command`.
        until: last night of the window; None means the latest.
        episode: the drifted nights that led to it.
    """

    cause: str
    trigger: str = "person"
    until: str | None = None
    episode: Sequence[str] = ()

    def tags(self) -> dict[str, str]:
        """Run tags that hold this cause."""
        tags = {CAUSE: self.cause, TRIGGER: self.trigger, EPISODE: ",".join(self.episode)}
        return tags if self.until is None else tags | {UNTIL: self.until}

    @classmethod
    def of_run(cls, tags: Mapping[str, str], champion: object | None) -> "Cause":
        """The cause in a run's tags; a run without them was started by a person."""
        return cls(
            cause=tags.get(CAUSE) or ("asked for" if champion else "no champion"),
            trigger=tags.get(TRIGGER, "person"),
            until=tags.get(UNTIL),
            episode=tuple(night for night in tags.get(EPISODE, "").split(",") if night),
        )
