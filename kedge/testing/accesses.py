"""Years of an audit trail as a pipeline's people make it: nightly runs, retrainings, analysts, hand-outs, erasures.

Nobody of this world does anything wrong unless an incident is planted. Its people are no machines all the same: they
stay late, work on a Sunday, come back from three weeks of holidays to the month's end, mistype a key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from kedge.spec.audit import RULES, Rule

ZONE = ZoneInfo("Europe/Berlin")
SERVICE, CLERK, OFFICER, STRANGER = "kedge", "clerk", "officer", "stranger"
_NIGHT = ("raw", "validated", "anonymized", "predictions", "predictions_restricted", "labels", "drift_report")
_HOLIDAYS = {(1, 1), (1, 6), (5, 1), (8, 15), (10, 3), (11, 1), (12, 24), (12, 25), (12, 26), (12, 31)}

Entry = dict[str, Any]


@dataclass(frozen=True)
class Analyst:
    """Somebody who reads stored nights.

    Attributes:
        presence: share of working days with access.
        mean, dispersion: of the versions read on such a day, negative binomial.
        start: hour at which the day begins, on average.
        away: days of holidays.
        since: the first day at work.
    """

    name: str
    presence: float
    mean: float
    dispersion: float
    start: float
    away: frozenset[int]
    since: int


@dataclass(frozen=True)
class Incident:
    """What was planted: the rule that has to find it, who, and on which local day."""

    rule: Rule
    identity: str
    day: date


@dataclass
class Trail:
    """Entries of a log in the order of time, as `kedge.audit` writes them.

    Args:
        seed: another seed, other people.
        first: first day.
        days: how many.
        hires: whether new analysts come during the time; each is an alert by right.
    """

    seed: int
    first: date = date(2024, 1, 1)
    days: int = 730
    hires: bool = False
    incidents: list[Incident] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self._entries: list[tuple[datetime, Entry]] = []
        self._runs = 0
        self.analysts = [self._analyst(f"analyst{number}", 0) for number in range(int(self.random.integers(2, 9)))]
        if self.hires:
            since = [int(self.random.integers(60, self.days)) for _ in range(2)]
            self.analysts += [self._analyst(f"hire{number}", day) for number, day in enumerate(since)]
        for number in range(self.days):
            self._live(number)

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """Number and entry."""
        self._entries.sort(key=lambda found: found[0])
        for number, (_, entry) in enumerate(self._entries):
            yield number, entry

    def plant(self, rule: Rule, day: int, times: float = 5.0) -> Incident:
        """Make an incident happen on day `day`, in working hours unless the hour is what is wrong.

        Args:
            times: of a volume: how many times the largest day of anybody.
        """
        plants: dict[Rule, Callable[[date], str]] = {
            "volume": lambda when: self._plant_volume(when, times),
            "hour": self._plant_hour,
            "identity": self._plant_identity,
            "denied": self._plant_denied,
            "export_before_erasure": self._plant_copy,
        }
        assert set(plants) == set(RULES)
        when = self._date(day)
        incident = Incident(rule, plants[rule](when), when)
        self.incidents.append(incident)
        return incident

    def _analyst(self, name: str, since: int) -> Analyst:
        r = self.random
        away = {
            start + day
            for year in range(self.days // 365 + 1)
            for start in r.integers(0, 365, 2) + 365 * year
            for day in range(int(r.integers(5, 22)))
        }
        return Analyst(
            name=name,
            presence=float(r.uniform(0.3, 0.95)),
            mean=float(r.uniform(2, 15)),
            dispersion=float(r.uniform(0.2, 1.0)),
            start=float(r.uniform(7.5, 9.5)),
            away=frozenset(map(int, away)),
            since=since,
        )

    def _date(self, number: int) -> date:
        return self.first + timedelta(days=number)

    def working(self, day: date) -> bool:
        """Whether offices are open."""
        return day.weekday() < 5 and (day.month, day.day) not in _HOLIDAYS

    def _live(self, number: int) -> None:
        day = self._date(number)
        self._nightly(day)
        if self.random.random() < 1 / 20:
            self._retrain(day, number)
        if self.working(day):
            self._hand_outs(day)
            if self.random.random() < 0.1:
                self._erase(day, [self._earlier(day) for _ in range(int(self.random.integers(1, 15)))])
        for analyst in self.analysts:
            if number >= analyst.since and number not in analyst.away:
                self._work(analyst, day)

    def _nightly(self, day: date) -> None:
        at, night = self._moment(day, 2.0 + 0.1 * self.random.random()), day - timedelta(days=1)
        run = self._run()
        for dataset in _NIGHT:
            self._read(at, SERVICE, night, dataset, run=run)
        for before in range(1, int(self.random.integers(2, 8))):
            self._read(at, SERVICE, night - timedelta(days=before), "anonymized", run=run)
        if self.random.random() < 0.002:
            for _ in range(2):
                self._add(at, SERVICE, "denied", run=run, **self._place(night, "raw"), file="rows", what="Tampered")

    def _retrain(self, day: date, number: int) -> None:
        at, run = self._moment(day, 2.5), self._run()
        for before in range(1, min(60, number + 1)):
            for dataset in ("anonymized", "labels"):
                self._read(at, SERVICE, day - timedelta(days=before), dataset, run=run)

    def _hand_outs(self, day: date) -> None:
        """Every working day the scores of the last night, and of those that passed since the last working day."""
        at, night = self._moment(day, 7.5 + 0.3 * self.random.random()), day - timedelta(days=1)
        while True:
            self._copy(at, CLERK, night)
            if self.working(night):
                return
            night -= timedelta(days=1)

    def _work(self, analyst: Analyst, day: date) -> None:
        r, open_office = self.random, self.working(day)
        if r.random() >= (analyst.presence if open_office else 0.01):
            return
        month_end = (day + timedelta(days=2)).day <= 3
        mean = analyst.mean * (r.uniform(1.5, 3) if month_end else 1)
        size = 1 / analyst.dispersion
        count = 1 + int(r.negative_binomial(size, size / (size + mean)))
        start = analyst.start + r.normal(0, 0.5) if open_office else 11.0
        end = start + 9 if open_office else start + 4
        if r.random() < 0.02:
            end = 21.5
        for hour in np.sort(r.uniform(start, end, count)):
            self._read(self._moment(day, float(hour)), analyst.name, self._earlier(day), str(r.choice(_NIGHT)))
        at = self._moment(day, float(r.uniform(start, end)))
        if r.random() < 0.004:
            self._add(
                at, analyst.name, "denied", **self._place(self._earlier(day), "raw"), file="rows", what="WrongKey"
            )
        if r.random() < 0.005:
            self._copy(at, analyst.name, self._earlier(day))

    # --- incidents

    def _someone(self) -> str:
        return self.analysts[0].name

    def _plant_volume(self, day: date, times: float) -> str:
        per_day: dict[tuple[str, date], set[str]] = {}
        for at, entry in self._entries:
            if entry["action"] == "read" and entry["run"] is None:
                place = f"{entry['dataset']}/{entry['partition']}"
                per_day.setdefault((entry["actor"]["name"], at.astimezone(ZONE).date()), set()).add(place)
        total = int(times * max(map(len, per_day.values())))
        for number in range(total):
            at = self._moment(day, 10 + 6 * number / total)
            night = day - timedelta(days=1 + number // len(_NIGHT))
            self._read(at, self._someone(), night, _NIGHT[number % len(_NIGHT)])
        return self._someone()

    def _plant_hour(self, day: date) -> str:
        for _ in range(3):
            at = self._moment(day, 3 + self.random.random() / 2)
            self._read(at, self._someone(), self._earlier(day), "validated")
        return self._someone()

    def _plant_identity(self, day: date) -> str:
        for _ in range(3):
            at = self._moment(day, 10 + 5 * self.random.random())
            self._read(at, STRANGER, self._earlier(day), "validated")
        return STRANGER

    def _plant_denied(self, day: date) -> str:
        for number in range(3):
            place = self._place(self._earlier(day), "raw")
            self._add(
                self._moment(day, 23.5) + timedelta(seconds=number),
                CLERK,
                "denied",
                **place,
                file="rows",
                what="KeyGone",
            )
        return CLERK

    def _plant_copy(self, day: date) -> str:
        night = day - timedelta(days=45)
        self._copy(self._moment(day - timedelta(days=3), 11), self._someone(), night)
        self._erase(day, [night, self._earlier(day)])
        return self._someone()

    # --- entries

    def _earlier(self, day: date) -> date:
        """A night that somebody looks at: mostly a recent one."""
        return day - timedelta(days=1 + int(self.random.exponential(25)))

    def _run(self) -> str:
        self._runs += 1
        return f"run{self._runs:08d}"

    def _moment(self, day: date, hour: float) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(hours=hour)

    def _place(self, night: date, dataset: str) -> dict[str, str]:
        zone = "open" if dataset in ("anonymized", "predictions", "drift_report") else "restricted"
        return {
            "zone": zone,
            "dataset": dataset,
            "partition": night.isoformat(),
            "version": f"v{night.toordinal():032x}",
        }

    def _read(self, at: datetime, name: str, night: date, dataset: str, run: str | None = None) -> None:
        self._add(at, name, "read", run=run, **self._place(night, dataset))

    def _copy(self, at: datetime, name: str, night: date) -> None:
        place = self._place(night, "predictions_restricted")
        self._add(at, name, "read", **place)
        self._add(at, name, "hand_out", phase="intent", **place, rows=1000)
        self._add(at, name, "hand_out", phase="outcome", **place, rows=1000, result="done")

    def _erase(self, day: date, nights: list[date]) -> None:
        at, partitions = self._moment(day, 14.0), sorted({night.isoformat() for night in nights})
        self._add(at, OFFICER, "erase", phase="intent", partitions=partitions)
        self._add(at, OFFICER, "erase", phase="outcome", partitions=partitions, result="done")

    def _add(
        self, at: datetime, name: str, action: str, *, run: str | None = None, phase: str = "event", **facts: Any
    ) -> None:
        entry = {
            **facts,
            "time": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "action": action,
            "phase": phase,
            "actor": {"kind": "os", "name": name, "uid": 1000},
            "run": run,
            "process": {"pid": 1, "host": "host"},
            "why": None,
            "pipeline": "bank",
            "code": None,
            "config": None,
        }
        self._entries.append((at, entry))
