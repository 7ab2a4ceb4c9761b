"""Survey: which days the files of a source with `date_column` hold, and which of them are new or changed.

That takes a pass over all rows, and a sensor must answer within seconds. So the pass runs in a process of its own, and
the sensor asks for its result at every tick. Importing this module costs nothing; the pass imports what it needs.

`python -m kedge.source.survey PIPELINE STAMP` makes a pass and writes its result under `KEDGE_HOME/arrivals`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from kedge import durable, faults
from kedge.errors import KedgeError
from kedge.settings import Settings
from kedge.source.calendar import delivery_files
from kedge.spec import Declaration, check_name

if TYPE_CHECKING:
    from kedge.workspace import Workspace

_RUNNING: dict[Path, tuple[str, "subprocess.Popen[bytes]"]] = {}
_LOCK = Lock()
_NICE = 10  # the nights that run meanwhile come first

faults.register("source.survey", steps=durable.REPLACE)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Result of a pass.

    Attributes:
        stamp: names the files that were looked at, see `kedge.source.arrival.Arrival.sha256`.
        days: all days the files hold.
        fresh: those whose rows are not the stored ones, with the keyed digest of their rows.
        num_rows, num_undated: rows in the files, and how many of them belong to no day.
        problem: why there is no result.
        made: whether the pass was made; a process that was killed made none, and the next one may.
    """

    stamp: str
    days: tuple[str, ...] = ()
    fresh: Mapping[str, str] = field(default_factory=dict)
    num_rows: int = 0
    num_undated: int = 0
    problem: str | None = None
    made: bool = True


def ask(settings: Settings, pipeline: str, stamp: str) -> Survey | None:
    """Result of the pass over the files named by `stamp`; starts the pass if there is none. None until it is there.

    A process that ended without a result (killed, for instance) is a `problem` too; the next question starts another.
    """
    place = _place(settings, pipeline)
    with _LOCK:
        running = _RUNNING.get(place)
        code = running[1].poll() if running else None
        if running and code is None:
            return None
        if running:
            del _RUNNING[place]
        found = last(settings, pipeline)
        if found is not None and found.stamp == stamp:
            return found
        if running and running[0] == stamp:
            problem = f"the look into the files ended early, with exit status {code}"
            return Survey(stamp=stamp, problem=problem, made=False)
        _RUNNING[place] = stamp, _start(settings, pipeline, stamp)
    return None


def last(settings: Settings, pipeline: str) -> Survey | None:
    """The latest result, whatever files it is about."""
    try:
        told = json.loads(_place(settings, pipeline).read_bytes())
    except FileNotFoundError:
        return None
    return Survey(**{**told, "days": tuple(told["days"])})


def make(ws: "Workspace", declaration: Declaration, stamp: str) -> Survey:
    """Make the pass in this process and store its result."""
    place = _place(ws.settings, declaration.name)
    durable.make_folder(place.parent, mode=0o700)
    with durable.lock(place.with_suffix(".lock")):
        found = last(ws.settings, declaration.name)
        if found is None or found.stamp != stamp or found.problem:
            found = _made(ws, declaration, stamp)
            _store(place, found)
    return found


def _store(place: Path, found: Survey) -> None:
    """Write the result; what killed passes left in the folder goes, under a lock that all pipelines share."""
    with durable.lock(place.parent / ".lock"):
        durable.sweep(place.parent)
        durable.replace(place, json.dumps(asdict(found)).encode(), mode=0o600, point="source.survey")


def _made(ws: "Workspace", declaration: Declaration, stamp: str) -> Survey:
    from kedge.source import dated
    from kedge.source.take import intake

    start = declaration.partitions.start.isoformat()
    taken = intake(ws, declaration, start)
    raw = ws.dataset(declaration.name, "raw")
    try:
        found, undated = dated.days(taken, delivery_files(declaration, ws.settings, start))
        current = {day: raw.current(day) for day in found if day >= start}
    except KedgeError as error:
        return Survey(stamp=stamp, problem=str(error))
    stored = {day: version.manifest.inputs["delivery"] for day, version in current.items() if version is not None}
    return Survey(
        stamp=stamp,
        days=tuple(found),
        fresh={day: digest for day, digest in found.items() if day >= start and stored.get(day) != digest},
        num_rows=undated.num_rows,
        num_undated=undated.num_undated,
    )


def _start(settings: Settings, pipeline: str, stamp: str) -> "subprocess.Popen[bytes]":
    places = {
        "KEDGE_HOME": settings.home,
        "KEDGE_KEYS": settings.keys,
        "KEDGE_DATA": settings.data,
        "KEDGE_PIPELINES": settings.pipelines,
    }
    return subprocess.Popen(  # noqa: S603 - our own module, and names that were checked
        [sys.executable, "-m", "kedge.source.survey", pipeline, stamp],
        env=os.environ | {name: str(path) for name, path in places.items()},
        stdin=subprocess.DEVNULL,
    )


def _place(settings: Settings, pipeline: str) -> Path:
    return settings.home / "arrivals" / f"{check_name('pipeline', pipeline)}.json"


def main(pipeline: str, stamp: str) -> None:
    """Make the pass that another process asked for."""
    from kedge.spec import load
    from kedge.workspace import Workspace

    os.nice(_NICE)
    settings = Settings.from_environment()
    declaration = load(settings.pipelines / check_name("pipeline", pipeline) / "defs.yaml")
    make(Workspace.open(settings), declaration, stamp)


if __name__ == "__main__":
    main(*sys.argv[1:])
