"""What a night of a million rows and 22 columns costs, asset by asset.

    .venv/bin/python benchmarks/nightly.py [--rows N] [--rounds N] [--json FILE] [--keep FOLDER]

Deliveries and declaration are those of `kedge.testing.wide`; a champion (the default network) is trained on three
nights of 20,000 rows before anything is measured. Then a process of its own runs the night through the functions that
the assets call (no Dagster), one after the other, as the warm run host does: it has run a small night before, so that
imports are paid. Per asset: wall-clock seconds, CPU seconds of all its threads (user and system; they say what the
work costs when the machine is shared), and the peak of resident memory, libraries included: Linux' own high-water mark
(`VmHWM`), set back before each asset. Of several rounds (the same delivery on further days) the quickest counts.

Figures: `nightly_seconds`, `nightly_cpu_seconds`, `nightly_peak_bytes`, and the same three for raw, validated (with
quarantine), anonymized, predictions (both zones) and drift_report; `idle_bytes`: the process before the night.
Bounds at a million rows on 2 cores: 20 seconds, 3 GB.
"""

import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from report import parser, report

from kedge.settings import Settings
from kedge.testing import wide
from kedge.workspace import Workspace

FIRST, NIGHTS, ROWS = date(2026, 1, 1), 3, 20_000
SMALL, LARGE = (FIRST + timedelta(days=NIGHTS + more) for more in (0, 1))  # later rounds: the days after LARGE
SMALL_ROWS = 3_000


def settings(folder: Path) -> Settings:
    places = {"KEDGE_HOME": "home", "KEDGE_KEYS": "keys", "KEDGE_DATA": "data", "KEDGE_PIPELINES": "pipelines"}
    return Settings.from_environment({name: str(folder / place) for name, place in places.items()})


def prepare(folder: Path, rows: int) -> None:
    """Deliveries, three released nights and a champion trained on them."""
    from kedge.evaluation.evaluate import evaluate
    from kedge.registry.promote import promote
    from kedge.scoring import scorer
    from kedge.training.launch import launch_local
    from kedge.training.train import train
    from kedge.training.training_set import assemble

    ws, declaration = Workspace.open(settings(folder)), wide.declaration()
    inbox = ws.settings.data / "inbox"
    past = [FIRST + timedelta(days=number) for number in range(NIGHTS)]
    sizes = {**dict.fromkeys(past, ROWS), SMALL: SMALL_ROWS, LARGE: rows}
    for seed, (night, size) in enumerate(sizes.items()):
        wide.send(size, inbox, night, seed=seed)
    for night in past:
        for stage in tuple(stages(ws, night.isoformat()).values())[:3]:
            stage()
    assemble(ws, declaration, cause="no champion", trigger="manual")
    model = train(ws, declaration, launch=lambda order: launch_local(order, on_line=lambda line: None))
    evaluate(ws, declaration, challenger=model.version, champion=None, score=scorer(ws, declaration))
    decision = promote(ws, declaration, None)
    if decision.action != "promote":
        raise SystemExit(f"no champion: {decision.reason}")


def stages(ws: Workspace, night: str) -> dict[str, Callable[[], object]]:
    """What the assets of the nightly job call, in its order."""
    from kedge.drift.report import report as drift_report
    from kedge.privacy import anonymize
    from kedge.quality.validate import validate
    from kedge.scoring import predict, scorer
    from kedge.source.take import take

    declaration = wide.declaration()
    return {
        "raw": lambda: take(ws, declaration, night),
        "validated": lambda: validate(ws, declaration, night),
        "anonymized": lambda: anonymize(ws, declaration, night),
        "predictions": lambda: predict(ws, declaration, night),
        "drift_report": lambda: drift_report(ws, declaration, night, score=scorer(ws, declaration)),
    }


def measure(folder: Path, rounds: int, file: Path) -> None:
    """Run the small night, then the large one as often as asked."""
    ws = Workspace.open(settings(folder))
    for stage in stages(ws, SMALL.isoformat()).values():
        stage()
    idle = {"idle_bytes": resident("VmRSS")}
    nights = [(LARGE + timedelta(days=number)).isoformat() for number in range(rounds)]
    for night in nights[1:]:
        shutil.copy(ws.settings.data / "inbox" / f"{LARGE}.csv", ws.settings.data / "inbox" / f"{night}.csv")
    found = [measured(ws, night) for night in nights]
    file.write_text(json.dumps(idle | min(found, key=lambda figures: figures["nightly_seconds"])))


def measured(ws: Workspace, night: str) -> dict[str, float]:
    """Figures of one night, with a look at clock and memory around each asset."""
    figures: dict[str, float] = {}
    with clocked("nightly", figures):
        for name, stage in stages(ws, night).items():
            with clocked(name, figures):
                stage()
    figures["nightly_peak_bytes"] = max(value for name, value in figures.items() if name.endswith("_peak_bytes"))
    check(ws, night)
    return figures


@contextmanager
def clocked(name: str, figures: dict[str, float]) -> Iterator[None]:
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS (proc(5))
    before, started = cpu_seconds(), time.perf_counter()
    yield
    figures[f"{name}_seconds"] = time.perf_counter() - started
    figures[f"{name}_cpu_seconds"] = cpu_seconds() - before
    figures[f"{name}_peak_bytes"] = resident("VmHWM")


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status: needs {field}; got none. Run it on Linux.")


def check(ws: Workspace, night: str) -> None:
    """A night that was blocked or not scored has no figures."""
    for name in ("validated", "quarantine", "anonymized", "predictions", "predictions_restricted", "drift_report"):
        if ws.dataset(wide.NAME, name).current(night) is None:
            raise SystemExit(f"{name} of the night was not released: run it by hand to see why")


def own_process(run: Callable[..., None], *arguments: object) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{run.__name__}: exit code {process.exitcode}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--keep", type=Path, help="make the workspace there and leave it")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kedge-nightly-") as temporary:
        folder = arguments.keep or Path(temporary)
        own_process(prepare, folder, arguments.rows)
        own_process(measure, folder, arguments.rounds, Path(temporary) / "figures.json")
        figures = json.loads((Path(temporary) / "figures.json").read_text())
    report("nightly", figures, arguments.json)


if __name__ == "__main__":
    main()
