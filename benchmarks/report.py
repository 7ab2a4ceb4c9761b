"""The format that every benchmark writes with `--json FILE`: `{"benchmark", "date", "machine", "figures"}`.

Names of figures are stable and end in their unit (`_seconds`, `_bytes`, `_count`, `_share`) or in `_ratio`, so that
two runs can be compared without knowing the benchmark.
"""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

UNITS = ("_seconds", "_bytes", "_count", "_share", "_ratio")


def parser(description: str) -> argparse.ArgumentParser:
    """Options of a benchmark: `--json FILE`, and what it adds itself.

    Args:
        description: the benchmark's docstring; its first line is shown.
    """
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return made


def report(benchmark: str, figures: Mapping[str, float], file: Path | None) -> None:
    """Print the figures and write them to `file` if there is one."""
    nameless = [name for name in figures if not name.endswith(UNITS)]
    if nameless:
        raise ValueError(f"figures: need names that end in {', '.join(UNITS)}; got {', '.join(nameless)}. Rename them.")
    for name, value in figures.items():
        print(f"{name:40} {value:>16,.3f}" if isinstance(value, float) else f"{name:40} {value:>16,}")
    if file is None:
        return
    content = {
        "benchmark": benchmark,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "figures": dict(figures),
    }
    file.write_text(json.dumps(content, indent=2) + "\n")
