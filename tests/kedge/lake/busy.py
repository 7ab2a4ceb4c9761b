"""Run as a process by test_rotation_load: `busy.py write|read FOLDER NUMBER` works until its input ends.

Tells how much it did in the end. Whatever raises is told by name and ends it with code 1.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from select import select

import polars as pl

from kedge.lake import Dataset, Draft, Lake, produce
from kedge.outcome import Findings

DAYS, ROWS = 6, 200
PLACES = (("restricted", "raw"), ("open", "anonymized"))


def datasets(folder: Path) -> list[Dataset]:
    lake = Lake.open(folder / "lake", folder / "keys")
    return [lake.dataset(zone, "bank", name) for zone, name in PLACES]  # type: ignore[arg-type]


def put(dataset: Dataset, day: str, delivery: str) -> None:
    """A version of a frame and a note; it is whole when it was written."""

    def write(draft: Draft) -> Findings:
        draft.write_frame(pl.LazyFrame({"_row": range(ROWS), "name": [f"{delivery} {i}" for i in range(ROWS)]}))
        draft.write_bytes(delivery.encode(), "note.txt")
        return Findings()

    outcome = produce(dataset, day, inputs={"delivery": delivery}, declared={}, code=1, write=write)
    outcome.version.check_whole()


def days(writer: int) -> list[str]:
    """The partitions of one writer; no other writes there."""
    return [(date(2026, 1 + writer, 1) + timedelta(days=day)).isoformat() for day in range(DAYS)]


def write(folder: Path, writer: int) -> Iterator[str]:
    """New versions all the time; each third time one that was current before."""
    turn = 0
    while True:
        for dataset in datasets(folder):
            for day in days(writer):
                put(dataset, day, f"delivery {turn // 3 if turn % 3 == 2 else turn}")
                yield "written"
        turn += 1


def read(folder: Path, _: int) -> Iterator[str]:
    """All current versions again and again, by one who never opens the lake anew."""
    opened = datasets(folder)
    while True:
        for dataset in opened:
            assert len(dataset.secrets.token("email")) == 32
            for version in (dataset.require(day, "") for day in dataset.partitions()):
                assert version.scan().collect().height == ROWS
                assert version.read_bytes("note.txt").startswith(b"delivery")
                yield "read"


def main() -> None:
    work = {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
    done = Counter[str]()
    print("ready", flush=True)
    for what in work:
        done[what] += 1
        if select([sys.stdin], [], [], 0)[0]:
            break
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
