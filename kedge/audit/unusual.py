"""Unusual access, found entry by entry: each entry of the log is looked at once, in its order.

Runs and people are told apart: what an identity does inside a run of the orchestrator counts as another identity,
`<name> (runs)`, so that nightly work neither alarms nor hides what the same account does by hand. A run is judged by
how much it reads and not by its hour, a person by the day.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from typing import Any, Literal
from zoneinfo import ZoneInfo

from kedge.audit.alert import Alert
from kedge.audit.habit import Habit, bound, pooled
from kedge.spec.audit import Rule, Unusual, parse_hours

LEARNING_DAYS = 28
"""Nothing that has to be learned is unusual in a log younger than that."""

RUN_VERSIONS_PER_NIGHT = 8
"""Versions of one night that a run may read without question; a retraining reads every night of its window."""

REPEATS = 3
"""An hour that was reported on so many days has become usual."""

PERSON_DAYS = 20
"""Days of access, counted per person, from which the hours of access are judged by those seen before."""

_COPIES = frozenset({"hand_out", "export"})
_ACCESS = frozenset({"read"}) | _COPIES
_OWN = frozenset({"signer", "recovered", "configuration", "anchor", "attempt", "keys.create"})
"""What the machinery itself writes when somebody is the first to come."""

RUNS = " (runs)"


@dataclass
class _Sum:
    """Distinct versions of one identity's day, or of one run, so far."""

    day: int
    usual: int
    first: int
    seen: set[str] = field(default_factory=set)
    alerted: bool = False


@dataclass
class _Denials:
    """Decrypts of one identity that failed in a row; `read`: the version that was opened last, which may fail yet."""

    count: int = 0
    first: int = 0
    read: str | None = None
    day: int = 0


@dataclass(frozen=True)
class _Seen:
    """One entry, as the rules see it."""

    number: int
    entry: Mapping[str, Any]
    identity: str
    run: str | None
    moment: datetime

    @property
    def day(self) -> int:
        return self.moment.toordinal()

    @property
    def version(self) -> str:
        place = "/".join(str(self.entry.get(name)) for name in ("dataset", "partition", "version"))
        return blake2b(place.encode(), digest_size=8).hexdigest()

    def alert(self, rule: Rule | Literal["anchor"], what: str, count: int, **more: Any) -> Alert:
        where = {"identity": self.identity, "usual": None, "first": self.number, "last": self.number} | more
        return Alert(rule=rule, what=what, count=count, day=self.moment.date().isoformat(), **where)


class Watch:
    """The rules, and what they remember: counts of the trailing days, never the entries.

    Args:
        rules: as declared.
        timezone: the pipeline's, an IANA name.
        nights: of the training window; a run may read all of them.
    """

    def __init__(self, rules: Unusual, timezone: str, nights: int) -> None:
        self.rules, self._zone = rules, ZoneInfo(timezone)
        self._expected = parse_hours(rules.hours) if rules.hours else None
        self._run_versions = RUN_VERSIONS_PER_NIGHT * nights
        self._start: int | None = None
        self._day = 0
        self._habits: dict[str, Habit] = {}
        self._sums: dict[str, _Sum] = {}
        self._known: dict[str, int] = {}
        self._hours: dict[int, int] = {}
        self._odd: dict[int, list[int]] = {}
        self._odd_told: dict[str, int] = {}
        self._denials: dict[str, _Denials] = {}
        self._copies: list[tuple[int, int, str, str]] = []
        self._anchor_day = 0

    def look(self, number: int, entry: Mapping[str, Any]) -> list[Alert]:
        """What is unusual about entry `number`; to be called for every entry, in order.

        Raises:
            KeyError, ValueError, TypeError: it is no entry of a log.
        """
        if entry["phase"] == "outcome":
            return []
        moment = datetime.fromisoformat(entry["time"]).astimezone(self._zone)
        run = entry["run"]
        seen = _Seen(number, entry, entry["actor"]["name"] + (RUNS if run else ""), run, moment)
        self._turn(seen.day)
        found = [*self._identity(seen), *self._denied(seen), *self._anchor(seen)]
        if entry["action"] not in _OWN and run is None:
            found += self._hour(seen)
        if entry["action"] in _ACCESS:
            found += self._volume(seen)
        if entry["action"] in _COPIES:
            self._copied(seen)
        if entry["action"] == "erase":
            found += self._erased(seen)
        return [alert for alert in found if alert.rule not in self.rules.ignore]

    def _turn(self, day: int) -> None:
        """Begin a day: yesterday's sums become history, and what is too old is forgotten."""
        if self._start is None:
            self._start = day
        if day <= self._day:
            return
        # A run may last over midnight, a person's day may not.
        for key in [key for key, summed in self._sums.items() if summed.day < day - (1 if RUNS in key else 0)]:
            summed = self._sums.pop(key)
            # A day that was reported counts as the most that was usual, so that it does not excuse the next one.
            number = summed.usual if summed.alerted else len(summed.seen)
            self._habit(key.partition("\n")[0]).count(summed.day, number)
        self._day = day
        before = day - self.rules.history
        for habit in self._habits.values():
            habit.forget(before)
        self._hours = {hour: last for hour, last in self._hours.items() if last >= before}
        self._odd = {hour: kept for hour, days in self._odd.items() if (kept := [one for one in days if one >= before])}
        self._copies = [copy for copy in self._copies if copy[0] >= day - self.rules.before_erasure]

    @property
    def _learned(self) -> bool:
        return self._start is not None and self._day - self._start >= LEARNING_DAYS

    def _habit(self, identity: str) -> Habit:
        return self._habits.setdefault(identity, Habit())

    def _people(self) -> list[int]:
        return pooled(habit for identity, habit in self._habits.items() if not identity.endswith(RUNS))

    def _identity(self, seen: _Seen) -> Iterator[Alert]:
        before = self._known.get(seen.identity)
        self._known[seen.identity] = seen.day
        if self.rules.identities is not None:
            if seen.identity.removesuffix(RUNS) not in self.rules.identities and before != seen.day:
                yield seen.alert("identity", "is not among the declared identities", 1)
        elif before is None and self._learned:
            yield seen.alert("identity", "was never seen in this log before", 1)

    def _volume(self, seen: _Seen) -> Iterator[Alert]:
        key = f"{seen.identity}\n{seen.run or ''}"
        summed = self._sums.get(key)
        if summed is None:
            own = [*self._habit(seen.identity).counts.values()]
            # A run has no colleagues: what it may read without history is what is declared.
            usual = bound(own, own, self._run_versions) if seen.run else bound(own, self._people())
            summed = self._sums[key] = _Sum(seen.day, usual, seen.number)
        summed.day = seen.day
        summed.seen.add(seen.version)
        if len(summed.seen) > summed.usual and not summed.alerted and self._learned:
            summed.alerted = True
            what = f"more than {summed.usual} versions in {'a run' if seen.run else 'a day'}"
            more = {"usual": summed.usual, "first": summed.first}
            yield seen.alert("volume", what, len(summed.seen), **more)

    def _hour(self, seen: _Seen) -> Iterator[Alert]:
        hour = seen.moment.hour
        if self._expected is not None:
            usual = seen.moment.weekday() in self._expected[0] and hour in self._expected[1]
        else:
            usual = any(near % 24 in self._hours for near in (hour - 1, hour, hour + 1))
            usual = usual or not self._learned or len(self._people()) < PERSON_DAYS
        days = self._odd.setdefault(hour, []) if not usual else []
        if usual or len(days) >= REPEATS:
            self._hours[hour] = seen.day
        if usual:
            return
        if seen.day not in days:
            days.append(seen.day)
        if self._odd_told.get(seen.identity) != seen.day:
            self._odd_told[seen.identity] = seen.day
            yield seen.alert("hour", f"access at {seen.moment:%A %H} h", 1)

    def _denied(self, seen: _Seen) -> Iterator[Alert]:
        if seen.entry["action"] not in ("denied", "read"):
            return
        row = self._denials.setdefault(seen.identity, _Denials())
        if seen.entry["action"] == "read":
            row.read = seen.version
            return
        if row.read not in (None, seen.version):
            row.count = 0  # that one opened: a read is logged before its file is decrypted
        row.read = None
        row.first = row.first if row.count else seen.number
        row.count += 1
        if row.count >= self.rules.denied and row.day != seen.day:
            row.day = seen.day
            what = f"{row.count} decrypts in a row failed"
            yield seen.alert("denied", what, row.count, usual=self.rules.denied - 1, first=row.first)

    def _copied(self, seen: _Seen) -> None:
        partition = str(seen.entry.get("partition"))
        try:
            age = seen.day - date.fromisoformat(partition).toordinal()
        except ValueError:
            age = -1  # no night: never routine
        if not self._habit(seen.identity).hand_out(seen.day, age) and self._learned:
            self._copies.append((seen.day, seen.number, seen.identity, partition))

    def _erased(self, seen: _Seen) -> Iterator[Alert]:
        erased = seen.entry.get("partitions") or [seen.entry.get("partition")]
        everything = erased == [None]
        by: dict[str, list[int]] = {}
        for _, number, identity, partition in self._copies:
            if everything or partition in erased:
                by.setdefault(identity, []).append(number)
        for identity, numbers in by.items():
            what = f"{len(numbers)} copies that left in the {self.rules.before_erasure} days before an erasure"
            more = {"identity": identity, "first": numbers[0]}
            yield seen.alert("export_before_erasure", what, len(numbers), **more)

    def _anchor(self, seen: _Seen) -> Iterator[Alert]:
        if seen.entry["action"] == "anchor" and self._anchor_day != seen.day:
            self._anchor_day = seen.day
            yield seen.alert("anchor", "a checkpoint could not be kept in the second place", 1)

    def to_json(self) -> dict[str, Any]:
        """What is remembered, as JSON."""
        sums = {key: {**asdict(one), "seen": sorted(one.seen)} for key, one in self._sums.items()}
        return {
            "start": self._start,
            "day": self._day,
            "habits": {identity: habit.to_json() for identity, habit in self._habits.items()},
            "sums": sums,
            "known": self._known,
            "hours": [*self._hours.items()],
            "odd": [*self._odd.items()],
            "odd_told": self._odd_told,
            "denials": {identity: asdict(row) for identity, row in self._denials.items()},
            "copies": self._copies,
            "anchor_day": self._anchor_day,
        }

    def resume(self, data: Mapping[str, Any]) -> None:
        """Go on from what `to_json` gave."""
        self._start, self._day = data["start"], data["day"]
        self._habits = {identity: Habit.of_json(habit) for identity, habit in data["habits"].items()}
        self._sums = {key: _Sum(**{**one, "seen": set(one["seen"])}) for key, one in data["sums"].items()}
        self._known, self._odd_told = dict(data["known"]), dict(data["odd_told"])
        self._hours = dict(map(tuple, data["hours"]))
        self._odd = dict(map(tuple, data["odd"]))
        self._denials = {identity: _Denials(**row) for identity, row in data["denials"].items()}
        self._copies = [tuple(copy) for copy in data["copies"]]
        self._anchor_day = data["anchor_day"]
