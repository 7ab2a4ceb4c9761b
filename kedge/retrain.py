"""When to retrain: a pure decision over facts that a sensor gathered.

Everything counts partition dates, never the wall clock, so that a backfill decides as the nights themselves did.
A night without a verdict (blocked, too few people, skipped) neither counts nor resets; neither does a verdict
about another champion than today's. Standard library only: a Dagster sensor imports this module.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from kedge.errors import Terminal

if TYPE_CHECKING:
    from kedge.spec import Declaration

Ending = Literal["promoted", "refused", "failed", "running"]

WEEK = timedelta(days=7)
ATTEMPTS_PER_NIGHT = 3
"""A run that keeps failing is tried so often on one night; then the next night decides anew."""


@dataclass(frozen=True, kw_only=True)
class NightVerdict:
    """What one night's drift report said.

    Attributes:
        partition: the night, `YYYY-MM-DD`.
        drifted: the verdict; None when there is none.
        champion: version id of the model the verdict is about; None without a verdict.
        labelled: whether the night's outcomes are known, so that something can be learned from it.
    """

    partition: str
    drifted: bool | None
    champion: str | None
    labelled: bool = True


@dataclass(frozen=True, kw_only=True)
class Retraining:
    """One retraining of the past, or the one that is running.

    Attributes:
        partition: the last night known when it was asked for.
        cause: as `Decision.cause`; retrainings that people started may carry any other text.
        ending: how it ended; `promoted` and `refused` mean that the run itself succeeded.
    """

    partition: str
    cause: str
    ending: Ending


@dataclass(frozen=True, kw_only=True)
class RetrainFacts:
    """What the decision rests on.

    Attributes:
        champion: version id of the model in production, None before the first.
        since: the partition at which it was promoted (maximum age counts from here).
        nights: verdicts, in any order; older champions' may be among them.
        retrainings: in any order; first trainings and those that people started count for cool-down and budget.
    """

    champion: str | None
    since: str | None = None
    nights: Sequence[NightVerdict] = ()
    retrainings: Sequence[Retraining] = ()


@dataclass(frozen=True, kw_only=True)
class RetrainPolicy:
    """The declaration's `drift.patience` and `retrain`, in nights, days and runs."""

    patience: int = 2
    cooldown: int = 3
    at_most_per_week: int = 2
    at_least_every: int | None = None

    def __post_init__(self) -> None:
        smallest = {"patience": 1, "cooldown": 0, "at_most_per_week": 0, "at_least_every": 1}
        for name, least in smallest.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise Terminal(
                    f"retrain.{name}", need=f"at least {least}", got=str(value), remedy="Correct the declaration."
                )

    @classmethod
    def of(cls, declaration: "Declaration") -> "RetrainPolicy":
        """The policy that a declaration asks for."""
        retrain = declaration.retrain
        return cls(
            patience=declaration.drift.patience,
            cooldown=retrain.cooldown,
            at_most_per_week=retrain.at_most_per_week,
            at_least_every=retrain.at_least_every,
        )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer, with its reason for people.

    Attributes:
        action: `retrain` or `wait`.
        reason: one sentence; written either way.
        cause: `<champion>:<first night of the episode>:<attempt>` (`<champion>:age:<attempt>` for maximum age), the
            key under which this retraining happens once; None when waiting.
        episode: the drifted nights behind it, oldest first; empty for maximum age.
        until: the last night with a verdict: train up to it.
    """

    action: Literal["retrain", "wait"]
    reason: str
    cause: str | None = None
    episode: tuple[str, ...] = ()
    until: str | None = None


def decide(facts: RetrainFacts, policy: RetrainPolicy) -> Decision:
    """Whether to retrain now: an episode of drift that met patience, with outcomes of as many nights (or a champion
    past its maximum age), and no running retraining, cool-down, weekly budget or earlier run of the same cause in the
    way.

    Raises:
        Terminal: a partition is no calendar date.
    """
    if facts.champion is None:
        return _wait("no champion yet: the first training is started by hand or by a backfill, not by drift")
    verdicts = _verdicts(facts.nights, facts.champion)
    if not verdicts:
        return _wait("no night has a verdict about this champion yet")
    now = verdicts[-1].partition
    episode = _episode(verdicts)
    known = sum(night.labelled for night in verdicts if night.partition in episode)
    if known >= policy.patience:
        base, reason = f"{facts.champion}:{episode[0]}", f"drift on {_nights(len(episode))} since {episode[0]}"
    elif (age := _age(facts.since, now)) is not None and policy.at_least_every and age >= policy.at_least_every:
        base, reason, episode = f"{facts.champion}:age", f"the champion is {age} days old", ()
    else:
        return _wait(_patience_reason(episode, known, policy))
    hindrance = _hindrance(facts.retrainings, base, _day(now), policy)
    if hindrance is not None:
        return _wait(f"{reason}, but {hindrance}")
    attempt = 1 + len(_earlier(facts.retrainings, base))
    return Decision(action="retrain", reason=reason, cause=f"{base}:{attempt}", episode=episode, until=now)


def _wait(reason: str) -> Decision:
    return Decision(action="wait", reason=reason)


def _verdicts(nights: Iterable[NightVerdict], champion: str) -> list[NightVerdict]:
    """Verdicts about `champion`, oldest first."""
    mine = [night for night in nights if night.drifted is not None and night.champion == champion]
    return sorted(mine, key=lambda night: _day(night.partition))


def _episode(verdicts: Sequence[NightVerdict]) -> tuple[str, ...]:
    """The run of drifted nights that the last verdict belongs to; empty when the last night was quiet."""
    run: list[str] = []
    for night in reversed(verdicts):
        if not night.drifted:
            break
        run.append(night.partition)
    return tuple(reversed(run))


def _patience_reason(episode: Sequence[str], known: int, policy: RetrainPolicy) -> str:
    if not episode:
        return "the last night with a verdict was quiet"
    if len(episode) >= policy.patience:
        said = f"labels have come for {known} of them, and patience asks for {policy.patience}"
        return f"drift on {_nights(len(episode))} since {episode[0]}, but {said}"
    return f"drift on {_nights(len(episode))} since {episode[0]}; patience asks for {policy.patience}"


def _hindrance(past: Sequence[Retraining], base: str, now: date, policy: RetrainPolicy) -> str | None:
    """What stands against a retraining tonight, if anything."""
    if any(run.ending == "running" for run in past):
        return "a retraining is running"
    ended = [run for run in past if run.ending in ("promoted", "refused")]
    # A repair backfill may look at a night before the last retraining: that night is no news.
    if any(_day(run.partition) >= now for run in ended if _base(run.cause) == base):
        return "this cause was decided on this night already; only a later night can bring it again"
    if ended:
        last = max(ended, key=lambda run: _day(run.partition))
        rest = policy.cooldown - (now - _day(last.partition)).days
        if rest > 0:
            said = f"{rest} of {policy.cooldown} days are left since the one {last.ending} on {last.partition}"
            return f"cool-down after a retraining: {said}"
    recent = [run for run in ended if _day(run.partition) > now - WEEK]
    if len(recent) >= policy.at_most_per_week:
        return f"the weekly budget is used up: {len(recent)} of {policy.at_most_per_week}"
    failed = [run for run in _earlier(past, base) if run.ending == "failed" and _day(run.partition) == now]
    if len(failed) >= ATTEMPTS_PER_NIGHT:
        return f"{len(failed)} runs failed on this night; the next night tries again"
    return None


def _earlier(past: Iterable[Retraining], base: str) -> list[Retraining]:
    return [run for run in past if _base(run.cause) == base]


def _base(cause: str) -> str:
    return cause.rpartition(":")[0]


def _age(since: str | None, now: str) -> int | None:
    return None if since is None else (_day(now) - _day(since)).days


def _nights(count: int) -> str:
    return f"{count} night{'' if count == 1 else 's'}"


def _day(partition: str) -> date:
    try:
        return date.fromisoformat(partition)
    except ValueError:
        raise Terminal(
            "partition", need="a calendar date YYYY-MM-DD", got="something else", remedy="Name the night by its date."
        ) from None
