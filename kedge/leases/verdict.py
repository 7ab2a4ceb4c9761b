"""Which runs are dead: observations in, verdicts out. No clock but the observer's own monotonic one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from kedge.leases.lease import Sight

SILENT_SECONDS = 60.0
"""How long a lease of another machine may show no beat; twelve of them."""
ABSENT_SECONDS = 120.0
"""How long a run that was handed over may have no lease: a launcher starts, libraries load."""
BLIND_SECONDS = 100.0
"""Looks further apart than this are not watching: whoever was to start the run may have been stopped as well."""


@dataclass(frozen=True, kw_only=True)
class Instant:
    """A point of time on one machine: seconds since its start by its monotonic clock, and which start."""

    boot: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What is seen of one unfinished run.

    Attributes:
        run: its id.
        lease: what its lease shows.
        queued: it waits in a queue that outlives every process; no process has to have it.
        vouched: whoever launched it says that its process lives or is about to be started.
    """

    run: str
    lease: Sight
    queued: bool = False
    vouched: bool = False


@dataclass(frozen=True, kw_only=True)
class Death:
    """A run whose process is gone, and what shows it."""

    run: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What earlier looks have left: for each run in doubt, what its lease said and since when it has said so.

    Attributes:
        looked: when the last look was.
        doubts: run id -> (token, monotonic seconds of the first look that saw it).
    """

    looked: Instant | None = None
    doubts: Mapping[str, tuple[str, float]] = field(default_factory=lambda: MappingProxyType({}))

    def as_json(self) -> dict[str, Any]:
        at = None if self.looked is None else [self.looked.boot, self.looked.seconds]
        return {"looked": at, "doubts": {run: list(doubt) for run, doubt in self.doubts.items()}}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> "Watch":
        at = stored["looked"]
        looked = None if at is None else Instant(boot=at[0], seconds=at[1])
        return cls(looked=looked, doubts={run: (token, since) for run, (token, since) in stored["doubts"].items()})

    def goes_on(self, now: Instant) -> bool:
        """Whether a look `now` continues this watch: same clock, and not long after the last look."""
        last = self.looked
        return last is not None and last.boot == now.boot and 0 <= now.seconds - last.seconds <= BLIND_SECONDS


def judge(sightings: Iterable[Sighting], watch: Watch, now: Instant) -> tuple[list[Death], Watch]:
    """The dead among the runs seen, and the watch to hand to the next look.

    A lock that nobody holds is proof. Everything else has to stay as it is for a while, seen by one observer.
    """
    before = watch.doubts if watch.goes_on(now) else {}
    dead, doubts = [], {}
    for seen in sightings:
        if seen.lease.state == "held" or seen.vouched or (seen.queued and seen.lease.state == "none"):
            continue
        if seen.lease.state == "free":
            dead.append(Death(run=seen.run, reason=ENDED))
            continue
        token, since = before.get(seen.run, (None, now.seconds))
        if token != seen.lease.token:
            since = now.seconds
        distant = seen.lease.state == "distant"
        if now.seconds - since >= (SILENT_SECONDS if distant else ABSENT_SECONDS):
            dead.append(Death(run=seen.run, reason=SILENT if distant else ABSENT))
        else:
            doubts[seen.run] = (seen.lease.token, since)
    return dead, Watch(looked=now, doubts=doubts)


ENDED = (
    "The process of this run ended without a word, as by kill -9, for want of memory, or in a power cut: "
    "nothing holds its lease any more."
)
SILENT = (
    f"The process of this run, on another machine or before a restart, has given no sign for {SILENT_SECONDS:.0f} s: "
    "its lease has stopped beating."
)
ABSENT = f"No process has had this run for {ABSENT_SECONDS:.0f} s: nobody took a lease and no launcher knows of it."
