"""kill -9 and a full disk at every fault point of every asset; then a rerun, compared with an undisturbed run."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from assets import LABELS, NIGHTLY, RETRAIN
from kedge.testing import faultpoints

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("stages.py")
STAGES = (
    "raw",
    "validated",
    "anonymized",
    "labels",
    "predictions",
    "drift_report",
    "training_set",
    "model",
    "evaluation",
    "champion",
)
ELSEWHERE = {
    "audit.anchor": "tests/kedge/audit/test_anchor.py: killed at each there; a pipeline that declares one",
    "audit.configured": "tests/kedge/test_settle.py: what a stage does of Dagster's before it begins",
    "audit.signer": "tests/kedge/test_settle.py: a new log",
    "lake.create": "tests/kedge/lake/test_crash.py: a new lake",
    "keys.ring": "tests/kedge/lake/test_crash.py: a new lake; tests/kedge/keys/test_ring.py: rotation, destruction",
    "keys.unlock": "tests/kedge/lake/test_crash.py: a new lake",
    "keys.kms": "tests/kedge/keys/test_kms.py: killed at each there; a key service, not a ring",
    "keys.note": "tests/kedge/keys/test_kms.py: killed at each there; a key service, not a ring",
    "keys.rewrap": "tests/faults/test_rotation.py",
    "lake.destroy": "tests/faults/test_rotation.py",
    "lake.erasures": "tests/faults/test_rotation.py",
    "lake.rotate": "tests/faults/test_rotation.py",
    "lake.secrets": "tests/kedge/lake/test_crash.py: a new pipeline",
    "lake.place.aside": "tests/kedge/lake/test_crash.py: a version that was blocked before",
    "durable.sweep": "every rerun here: it sweeps what the killed run left",
    "registry.get_model_version": "read by tests only",
    "scoring.handout": "tests/kedge/scoring/test_handout.py: no asset",
    "source.survey": "tests/kedge/source/test_survey.py: killed at each there; a sensor's, not an asset's",
}
"""Points that no asset's usual run passes, and where they are tried."""

HOSTS = 2
pytestmark = pytest.mark.faults


class Host:
    """A process with the libraries loaded that forks one for each job."""

    def __init__(self, log: Path) -> None:
        self.log = log
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, **job: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"log": str(self.log), **job}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        self.process.communicate("")


@dataclass(frozen=True)
class Stage:
    """A stage, the folder before it, what was there before and is after an undisturbed run, the points it passes."""

    name: str
    prepared: Path
    before: dict[str, Any]
    after: dict[str, Any]
    passed: list[str]

    def passes(self) -> list[tuple[str, int]]:
        """Each pass of each point: the name and its turn."""
        turns: Counter[str] = Counter()
        found = []
        for point in self.passed:
            turns[point] += 1
            found.append((point, turns[point]))
        return found


class Bank:
    """The prepared stages, and hosts that run them."""

    def __init__(self, folder: Path, hosts: Sequence[Host]) -> None:
        self.folder, self._hosts = folder, SimpleQueue[Host]()
        ready = [host.process.stdout.readline() for host in hosts if host.process.stdout]
        assert [json.loads(line) for line in ready] == [{"ready": True}] * len(hosts)
        self.stages = self._prepared(hosts[0])
        for host in hosts:
            self._hosts.put(host)

    def _prepared(self, host: Host) -> dict[str, Stage]:
        work = self.folder / "work"
        _done(host.ask(do="prepare", folder=str(work)))
        first = self._advanced(host, "first_model", work)
        _done(host.ask(do="crown", folder=str(work)))
        return {"first_model": first, **{name: self._advanced(host, name, work) for name in STAGES}}

    def _advanced(self, host: Host, name: str, work: Path) -> Stage:
        prepared, trace = Path(shutil.copytree(work, self.folder / name)), self.folder / f"{name}.trace"
        undisturbed = _done(host.ask(do="advance", stage=name, folder=str(work), fault=f"trace:{trace}"))
        return Stage(name, prepared, undisturbed["before"], undisturbed["after"], trace.read_text().split())

    def try_all(self, check: Callable[["Case"], None], cases: Sequence["Case"]) -> list[str]:
        """Run the cases, as many at a time as there are hosts; what went wrong with each that did not survive."""

        def tried(case: Case) -> str | None:
            host = self._hosts.get()
            try:
                case.ask = lambda **job: host.ask(**job)
                check(case)
            except AssertionError as error:
                return f"{case.fault}: {error}"
            finally:
                self._hosts.put(host)
                shutil.rmtree(case.folder, ignore_errors=True)
            return None

        with ThreadPoolExecutor(HOSTS) as pool:
            return [wrong for wrong in pool.map(tried, cases) if wrong]


def _done(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["code"] == 0, answer.get("said")
    return answer


@dataclass
class Case:
    """One stage disturbed by one fault, in a folder of its own."""

    stage: Stage
    fault: str
    folder: Path
    ask: Callable[..., dict[str, Any]] = lambda **_: {}

    def disturbed(self) -> dict[str, Any]:
        folder, prepared = str(self.folder), str(self.stage.prepared)
        return self.ask(do="run", stage=self.stage.name, folder=folder, copy=prepared, fault=self.fault)

    def check_rerun(self) -> None:
        """What is visible before the rerun is old or new, never a part; afterwards all is as if nothing had been."""
        again = self.ask(do="again", stage=self.stage.name, folder=str(self.folder))
        assert again["code"] == 0, again.get("said")
        _check_nothing_half(again["between"], self.stage.before, self.stage.after)
        _check_nothing_untold(again["between"], again["after"])
        found, wanted = _settled(again["after"]), _settled(self.stage.after)
        assert found == wanted, _difference(found, wanted)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    folder = tmp_path_factory.mktemp("bank")
    with ExitStack() as stack:
        hosts = [Host(folder / f"host{number}.log") for number in range(HOSTS)]
        for host in hosts:
            stack.callback(host.end)
        yield Bank(folder, hosts)


def _check_nothing_half(between: dict[str, Any], before: dict[str, Any], after: dict[str, Any]) -> None:
    for place in before["current"] | between["current"]:
        found = between["current"].get(place)
        assert found in (before["current"].get(place), after["current"].get(place)), f"{place} is {found}"
    assert set(before["stored"]) <= set(between["stored"]) <= set(after["stored"])
    assert between["decisions"] in (before["decisions"], after["decisions"])
    assert between["champion"] == (between["decisions"][-1][2] if between["decisions"] else None)
    assert between["registered"] in (before["registered"], after["registered"]), "registered once or not at all"
    for alias in before["aliases"] | between["aliases"]:
        found = between["aliases"].get(alias)
        assert found in (before["aliases"].get(alias), after["aliases"].get(alias)), f"alias {alias} is {found}"
    assert ("champion" in between["aliases"]) >= ("champion" in before["aliases"]), "never without a champion"


def _check_nothing_untold(between: dict[str, Any], after: dict[str, Any]) -> None:
    """Nothing was there that had not been announced; in the end every change has one outcome, and a true one."""
    for place, (version, _) in between["current"].items():
        assert version in between["announced"].get(place, []), f"{place}: {version} is current and was never announced"
    assert len(between["unsettled"]) <= 2, "a commit, and the training around it"
    assert after["unsettled"] == []
    assert after["told"] == {place: version for place, (version, _) in after["current"].items()}
    assert after["ruled"] == [decision[:3] for decision in after["decisions"]]


def _settled(found: dict[str, Any]) -> dict[str, Any]:
    """Without what a killed run may have announced once more than one that was not."""
    return {name: value for name, value in found.items() if name != "announced"}


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    return "; ".join(f"{key} is {found[key]}, not {wanted[key]}" for key in wanted if found[key] != wanted[key])


def _killed(case: Case) -> None:
    ended = case.disturbed()
    if ".worker." in case.fault:  # the training process is killed, and the stage that waits for it says so
        assert (ended["code"], ended.get("error")) == (1, "Terminal"), ended
        assert "training process: needs exit code 0; got -9" in ended["said"]
    else:
        assert ended["killed"], ended
    case.check_rerun()


def _count(tally: Any, cases: Sequence[Case], wrong: Sequence[str]) -> str:
    """Add the kills to what the tier prints in the end; the same in words."""
    tally.points.update(case.fault.partition(":")[0] for case in cases)
    tally.kills += len(cases)
    tally.survived += len(cases) - len(wrong)
    return f"{len(cases)} kills, {len(cases) - len(wrong)} survived"


def _kills(stage: Stage, folder: Path, *, known: Sequence[str] = ()) -> list[Case]:
    passes = [(point, turn) for point, turn in _thinned(stage.passes()) if point not in known]
    return [Case(stage, f"{point}:kill@{turn}", folder / str(n)) for n, (point, turn) in enumerate(passes)]


def _thinned(passes: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Without most passes of locks and of the log's points, which come with every entry.

    A line that is written and not yet durable is cut off the first time (an intent), in the middle and the last time
    (an outcome). Of the others one time is enough; of those that the signing thread passes the first, for how often
    it comes to sign depends on the time. A lock writes nothing: the first, the middle and the last time.
    """
    last = dict(passes)

    def chosen(point: str, turn: int) -> bool:
        if point == "audit.append.written" or point.startswith(LOCK):
            return turn in (1, last[point] // 2 + 1, last[point])
        return turn == (last[point] if point in ("audit.append.before", "audit.append.after") else 1)

    return [(point, turn) for point, turn in passes if not point.startswith((*LOG, LOCK)) or chosen(point, turn)]


@pytest.mark.parametrize("name", STAGES)
def test_killed_at_each_point_an_asset_ends_as_undisturbed(bank: Bank, tally: Any, tmp_path: Path, name: str) -> None:
    stage = bank.stages[name]
    cases = _kills(stage, tmp_path)
    wrong = bank.try_all(_killed, cases)
    points = len(set(stage.passed))
    print(f"\n{name}: {points} points, {_count(tally, cases, wrong)}")
    assert points >= 15
    assert wrong == []


def test_killed_while_mlflow_learns_of_its_first_model(bank: Bank, tally: Any, tmp_path: Path) -> None:
    """The points that only the first training passes: MLflow's experiment and registered model are made."""
    cases = _kills(bank.stages["first_model"], tmp_path, known=bank.stages["model"].passed)
    wrong = bank.try_all(_killed, cases)
    print(f"\nfirst model: {_count(tally, cases, wrong)}")
    assert len(cases) >= 4
    assert wrong == []


def test_every_asset_is_tried() -> None:
    assert {*STAGES, "quarantine"} == {*NIGHTLY, *LABELS, *RETRAIN}, "quarantine is written by validated"


def test_every_point_is_tried_somewhere(bank: Bank) -> None:
    passed = {point for stage in bank.stages.values() for point in stage.passed}
    known = faultpoints.points()
    print(f"\n{len(known)} points registered, {len(passed)} of them passed by assets")
    assert len(known) >= 40
    assert passed <= known, "a point that nobody registered"
    assert {point for point in known - passed if not point.startswith(tuple(ELSEWHERE))} == set()
    assert {place for place in ELSEWHERE if any(point.startswith(place) for point in passed)} == set()


def _full(case: Case) -> None:
    ended = case.disturbed()
    assert (ended["code"], ended.get("error")) == (1, "Transient"), ended
    assert "No space left on device" in ended["said"]
    assert "run it again" in ended["said"]
    case.check_rerun()


def test_a_disk_that_is_full_for_the_last_dataset_of_the_labels(bank: Bank, tmp_path: Path) -> None:
    """What is set aside is in the lake by then: the last pass of a point is that of the labels, if they pass it."""
    stage = bank.stages["labels"]
    turns = {point: turn for point, turn in stage.passes() if not point.startswith(IN_BETWEEN)}
    cases = [Case(stage, f"{point}:full@{turn}", tmp_path / point) for point, turn in turns.items()]
    wrong = bank.try_all(_full, cases)
    print(f"\nfull disk, labels: {len(cases)} points, {len(cases) - len(wrong)} survived")
    assert len(cases) >= 15
    assert wrong == []


def test_a_full_disk_is_a_clear_error_at_each_step_that_writes(bank: Bank, tmp_path: Path) -> None:
    seen: set[str] = set()
    cases = []
    for name in ("raw", "drift_report", "champion", "model"):
        stage = bank.stages[name]
        for point in dict.fromkeys(stage.passed):
            if point not in seen and not point.startswith(IN_BETWEEN):
                seen.add(point)
                cases.append(Case(stage, f"{point}:full", tmp_path / str(len(cases))))
    wrong = bank.try_all(_full, cases)
    print(f"\nfull disk: {len(cases)} points, {len(cases) - len(wrong)} survived")
    assert len(cases) >= 60
    assert wrong == []


LOG = ("audit.append", "audit.sign", "audit.tree")
LOCK = "durable.lock."
SIGNING = ("audit.sign.", "audit.tree")
"""Passed by a thread of its own, when it comes to it; a full disk is told by the append after it: see
tests/kedge/audit/test_log.py."""

IN_BETWEEN = (
    *SIGNING,
    "durable.scratch.closed",
    "durable.scratch.closing",
    "lake.measure",
    "quality.",
    "registry.mirror",
    "scoring.predictions",
    "source.after.after",
    "source.after.before",
    "training.launch",
    "training.register",
    "training.start",
    "training.worker.fitted",
    "training.worker.left",
    "training.worker.received",
)
"""Moments between two steps: nothing is written there that a disk could refuse."""
