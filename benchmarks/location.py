"""What loading the code location costs, against an empty Dagster location in the same run.

    .venv/bin/python benchmarks/location.py [--rounds N] [--json FILE]

Figures: `location_load_seconds`, `empty_load_seconds` (medians, process start included), `location_load_ratio`.
Bound: ratio at most 1.3.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from report import parser, report

ROOT = Path(__file__).resolve().parent.parent
LOADED = "from pipelines.definitions import defs; defs.resolve_all_job_defs()"
EMPTY = "import dagster as dg; defs = dg.Definitions(); defs.resolve_all_job_defs()"


def seconds(code: str) -> float:
    """Wall time of one process that loads a location, as `dagster api grpc` does at its start."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import dagster._grpc.server; {code}"], cwd=ROOT, check=True)
    return time.perf_counter() - started


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=7)
    arguments = options.parse_args()
    seconds(LOADED), seconds(EMPTY)  # the first of each reads the libraries from disk
    rounds = [(seconds(LOADED), seconds(EMPTY)) for _ in range(arguments.rounds)]
    loaded, empty = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other in rounds)
    figures = {"location_load_seconds": loaded, "empty_load_seconds": empty, "location_load_ratio": ratio}
    report("location", figures, arguments.json)


if __name__ == "__main__":
    main()
