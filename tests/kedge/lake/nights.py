"""Run as a process by test_crash: three commits in a lake that is there already, then a line for each.

`nights.py POINT=FOLDER ...`: for each, a child in FOLDER that is killed when it reaches fault point POINT; prints how
each ended. The children are forked before polars starts its threads, which saves importing it for each.
"""

import os
import sys
from pathlib import Path

import polars as pl

from kedge.lake import Draft, Lake, produce
from kedge.outcome import Check, Findings

FRESH, REPLACED, BLOCKED = "2026-01-01", "2026-01-02", "2026-01-03"


def night(lake: Lake, partition: str, delivery: str, *, passed: bool = True) -> str:
    """Make one version and tell its place and content digest."""

    def write(draft: Draft) -> Findings:
        draft.write_frame(pl.LazyFrame({"_row": range(100), "name": [f"{delivery} {i}" for i in range(100)]}))
        draft.write_bytes(delivery.encode(), "delivery.txt")
        return Findings(checks=(Check(name="contract", passed=passed),), notes={"raw": draft.version})

    dataset = lake.dataset("restricted", "bank", "raw")
    inputs = {"delivery": delivery}
    version = produce(dataset, partition, inputs=inputs, declared={}, code=1, write=write).version
    version.check_whole()
    return f"{version.place} {version.manifest.content_digest} {version.manifest.released}"


def prepare(folder: Path) -> Lake:
    """A lake with a current version to replace and a blocked one to repeat."""
    lake = Lake.open(folder / "lake", folder / "keys")
    night(lake, REPLACED, "old")
    night(lake, BLOCKED, "new", passed=False)
    return lake


def run(folder: Path) -> list[str]:
    """A fresh version, one that replaces a current version, one that was blocked before."""
    lake = Lake.open(folder / "lake", folder / "keys")
    lake.secrets("shop")
    return [night(lake, partition, "new") for partition in (FRESH, REPLACED, BLOCKED)]


def killed(point: str, folder: Path) -> int:
    """Exit code of a child that runs with the fault; minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        os.environ["KEDGE_FAULT"] = f"{point}:kill"
        try:
            run(folder)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    for order in sys.argv[1:]:
        point, _, folder = order.partition("=")
        print(point, killed(point, Path(folder)), flush=True)
