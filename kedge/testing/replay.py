"""A replayed table run by the command line, as somebody in a shell would, and what the commands left."""

import csv
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kedge.spec import Declaration, column_name, days

KEDGE = Path(sys.executable).parent / "kedge"
LIMIT_SECONDS = 800


@dataclass(frozen=True)
class Replay:
    """One pipeline over a table without dates.

    Attributes:
        declaration: of the pipeline.
        folder: where everything is written; `home` and `keys` lie in it.
        data: folder of the tables (`KEDGE_DATA`).
        env: of the commands.
    """

    declaration: Declaration
    folder: Path
    data: Path
    env: Mapping[str, str]

    def kedge(self, command: str, *arguments: str) -> None:
        """Run `kedge COMMAND PIPELINE ARGUMENTS`; what it prints is kept, and its seconds are printed."""
        words = [command, self.declaration.name, *arguments]
        started = time.monotonic()
        done = subprocess.run(  # noqa: S603  our own command with the test's own words
            [str(KEDGE), *words], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
        with self.printed.open("a") as printed:
            printed.write(done.stdout + done.stderr)
        sys.stdout.write(f"kedge {' '.join(words)}: {time.monotonic() - started:.0f} s\n")
        assert done.returncode == 0, done.stdout + done.stderr

    def play(self, history: Sequence[str], judged: Sequence[str]) -> None:
        """Nights of history, the first champion, nights that it scores with their hand-outs, and the status."""
        self.kedge("check")
        self.kedge("run", "--partition", history[0], "--until", history[-1])
        self.kedge("run", "--partition", history[-1], "--job", "retrain")
        self.kedge("run", "--partition", judged[0], "--until", judged[-1])
        for night in judged:
            self.hand_out(night)
        self.report()

    def hand_out(self, date: str) -> None:
        """Write the predictions of a night to `scores`."""
        self.kedge("predictions", "--partition", date, "--out", str(self.scores(date)))

    def report(self) -> None:
        """Print the status, and write what `status` reads."""
        self.kedge("status", "--json", str(self.folder / "status.json"))

    @property
    def printed(self) -> Path:
        """All that the commands printed."""
        return self.folder / "printed.txt"

    @cached_property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "status.json").read_text())
        return found

    @cached_property
    def rows(self) -> list[dict[str, str]]:
        """The table as it was published, under declared names."""
        return self.read(str(self.declaration.source.files))

    def read(self, file: str) -> list[dict[str, str]]:
        """A gzipped CSV file below `data`, in the source's dialect."""
        source, names = self.declaration.source, self.declaration.columns
        with gzip.open(self.data / file, "rt", encoding="utf-8", newline="") as text:
            lines = csv.reader(text, delimiter=source.delimiter, skipinitialspace=True)
            header = [str(column_name(field)) for field in next(lines)] if source.header else list(names)
            return [dict(zip(header, line, strict=True)) for line in lines if line]

    def night(self, date: str) -> list[dict[str, str]]:
        """Rows of the table that this night delivers."""
        size = self.declaration.source.replay or 0
        first = days(str(self.declaration.partitions.start), date).index(date) * size
        return self.rows[first : first + size]

    def handed_out(self, date: str) -> list[dict[str, str]]:
        """Rows of a night with their scores, as handed out."""
        with self.scores(date).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def scores(self, date: str) -> Path:
        """File of a night's predictions."""
        return self.folder / "scores" / f"{date}.csv"

    def same(self, handed: Mapping[str, str], received: Mapping[str, str]) -> bool:
        """Whether a row handed out is the one received; numbers may be written differently."""
        return all(self._equal(handed[name], text) for name, text in received.items())

    def _equal(self, handed: str, received: str) -> bool:
        if received in self.declaration.source.missing:
            return handed == ""
        return handed == received or (received[-1].isdigit() and float(handed) == float(received))
