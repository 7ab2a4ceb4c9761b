"""What encryption costs when a night is written and read, against plain polars in the same rounds.

    .venv/bin/python benchmarks/encryption.py [--rows N] [--rounds N] [--json FILE]

One delivery of `kedge.testing.wide` (22 columns, typed as its declaration says) is written, fsynced and read in turn:
by polars with the lake's compression and row groups, and as the lake does it, with AES-256-GCM of every page. The
order within a round alternates; each ratio is the median of the rounds' ratios. Reading collects all columns.

Figures: `write_overhead_ratio` and `read_overhead_ratio` (bounds 1.10 and 1.15); `read_stored_ratio`, a read through
`Version.scan`, which verifies the manifest and unwraps the key; `read_first_ratio`, the same where the process has not
seen the file before and compares its SHA-256; and the seconds of each.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
from report import parser, report

from kedge import durable
from kedge.keys import new_key
from kedge.lake import Dataset, Draft, Lake, Version, produce
from kedge.lake.names import ROWS
from kedge.lake.parquet import LEVEL, ROW_GROUP_ROWS, scan_parquet, write_parquet
from kedge.outcome import Findings
from kedge.testing import wide

AAD = b"open/wide/anonymized/2026-01-01/v0/rows.parquet"
REPEATS = 3  # the quickest counts: the first read after another frame was freed pays for its memory
Round = Mapping[str, float]


def night(rows: int) -> pl.DataFrame:
    """A delivery as a frame, its numbers and dates parsed."""
    return pl.read_csv(wide.delivery(rows, seed=1, broken=0).write_csv().encode(), try_parse_dates=True)


def clocked(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Contest:
    """The same frame in plaintext and in a lake."""

    def __init__(self, frame: pl.DataFrame, folder: Path) -> None:
        self.frame, self.plain, self.sealed, self.key = (
            frame,
            folder / "plain.parquet",
            folder / "sealed.parquet",
            new_key(),
        )
        self.dataset: Dataset = Lake.open(folder / "lake", folder / "keys").dataset("open", wide.NAME, "anonymized")

    def stored(self, draft: Draft) -> Findings:
        draft.write_frame(self.frame)
        return Findings()

    def store(self) -> None:
        produce(self.dataset, "2026-01-01", inputs={}, declared={}, code=1, write=self.stored)

    def write_plain(self) -> None:
        self.frame.lazy().sink_parquet(self.plain, compression_level=LEVEL, row_group_size=ROW_GROUP_ROWS)
        durable.sync_file(self.plain)

    def write_sealed(self) -> None:
        write_parquet(self.frame.lazy(), self.sealed, self.key, AAD)
        durable.sync_file(self.sealed)

    def read_plain(self) -> None:
        pl.scan_parquet(self.plain, glob=False, hive_partitioning=False).collect()

    def read_sealed(self) -> None:
        scan_parquet(self.sealed, self.key, AAD).collect()

    def read_stored(self) -> None:
        self._current().scan().collect()

    def read_first(self) -> None:
        os.utime(self._current().path / ROWS)  # its state has changed: this process has not seen it whole
        self.read_stored()

    def _current(self) -> Version:
        return self.dataset.require("2026-01-01", "Store it first.")

    def round(self, number: int) -> Round:
        writing = [self.write_plain, self.write_sealed]
        reading = [self.read_plain, self.read_sealed, self.read_stored, self.read_first]
        turn = 1 if number % 2 else -1
        return {
            step.__name__: min(clocked(step) for _ in range(REPEATS))
            for steps in (writing, reading)
            for step in steps[::turn]
        }


def measure(rows: int, rounds: int) -> dict[str, float]:
    """Figures of `rounds` rounds after one that only warms up."""
    with tempfile.TemporaryDirectory(prefix="kedge-encryption-") as temporary:
        contest = Contest(night(rows), Path(temporary))
        contest.store()
        found = [contest.round(number) for number in range(rounds + 1)][1:]
    ratio = {
        "write_overhead_ratio": ("write_sealed", "write_plain"),
        "read_overhead_ratio": ("read_sealed", "read_plain"),
        "read_stored_ratio": ("read_stored", "read_plain"),
        "read_first_ratio": ("read_first", "read_plain"),
    }
    ratios = {name: statistics.median(one[ours] / one[plain] for one in found) for name, (ours, plain) in ratio.items()}
    return ratios | {f"{step}_seconds": statistics.median(one[step] for one in found) for step in found[0]}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=9)
    arguments = options.parse_args()
    report("encryption", measure(arguments.rows, arguments.rounds), arguments.json)


if __name__ == "__main__":
    main()
