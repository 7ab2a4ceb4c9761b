"""What the audit trail costs: entries per second against bare write and fsync into the same file, and verifying.

    .venv/bin/python benchmarks/audit.py [--rounds N] [--entries N] [--verified N] [--rows N] [--json FILE]

The bare writer appends lines that were made beforehand to `log.jsonl` itself, as another process would, and fsyncs
after each. Every round measures it first and then each way of appending; a ratio is the median over the rounds of
entries per second against the bare writer's in the same round.

Figures: `audit_fsync_ratio` (one writer that waits for each entry), `audit_group_waiting_ratio` (4 threads that wait
for each entry: 4 is the most that sharing one fsync among 4 can give), `audit_group_commit_ratio` (4 threads that keep
`IN_FLIGHT` entries each on their way with `submit`), `bare_entry_seconds`, `audit_entry_seconds`,
`audit_verify_seconds` and `audit_verify_count` (entries verified); and those of `encryption.py`.
Bounds: `audit_fsync_ratio` at least 0.8, `audit_group_commit_ratio` at least 5, verifying 1,000,000 entries under 20 s.
"""

import os
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import encryption
from report import parser, report

from kedge.audit.entry import encode, record
from kedge.audit.log import Log
from kedge.audit.verify import verify
from kedge.keys import KeyRing

WRITERS, IN_FLIGHT = 4, 32
AT_ONCE = 10_000


def entry() -> dict[str, Any]:
    """An entry of usual size: about 600 bytes."""
    return record(
        "bank",
        "commit",
        "intent",
        config="0" * 64,
        zone="restricted",
        dataset="validated",
        partition="2026-01-01",
        version=f"v{0:032x}",
        predecessor=None,
        content_digest="0" * 64,
        released=True,
    )


@contextmanager
def opened() -> Iterator[Log]:
    """A new log on the disk of the current folder, for /tmp may be none."""
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=Path.cwd()) as folder:
        place = Path(folder)
        keys = KeyRing.create(place / "keys", "benchmark")
        log = Log.open(place / "audit" / "bank", pipeline="bank", lake_id="benchmark", keys=keys)
        try:
            yield log
        finally:
            log.close()


def bare(file: Path, entries: int) -> float:
    """Entries per second of a writer that knows nothing but its file."""
    line = encode(entry()) + b"\n"
    handle = os.open(file, os.O_WRONLY | os.O_APPEND)
    try:
        started = time.perf_counter()
        for _ in range(entries):
            os.write(handle, line)
            os.fsync(handle)
        return entries / (time.perf_counter() - started)
    finally:
        os.close(handle)


def waiting(log: Log, entries: int) -> None:
    """One writer that waits for each entry."""
    fixed = entry()
    for _ in range(entries):
        log.append(fixed)


def pipelined(log: Log, entries: int) -> None:
    """One writer with several entries on their way."""
    fixed, tickets = entry(), deque[Any]()
    for _ in range(entries):
        if len(tickets) == IN_FLIGHT:
            tickets.popleft().wait()
        tickets.append(log.submit(fixed))
    while tickets:
        tickets.popleft().wait()


def rate(log: Log, entries: int, writers: int, write: Callable[[Log, int], None]) -> float:
    """Entries per second of all writers together."""
    log.append(entry())  # knows what the bare writer wrote before the clock runs
    threads = [threading.Thread(target=write, args=(log, entries // writers)) for _ in range(writers)]
    size, started = log.size, time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if log.size != size + entries // writers * writers:
        raise RuntimeError("benchmark: an entry is missing")
    return entries / seconds


def appending(rounds: int, entries: int) -> dict[str, float]:
    """The figures of appending. Rounds are short and many, for a disk is not equally fast from second to second."""
    with opened() as log:
        file = log.folder / "log.jsonl"
        measured = [
            (
                bare(file, entries),
                rate(log, entries, 1, waiting),
                rate(log, WRITERS * entries, WRITERS, waiting),
                rate(log, WRITERS * IN_FLIGHT * entries // 10, WRITERS, pipelined),
            )
            for _ in range(rounds)
        ]
    one, group, flight = (statistics.median(row[way] / row[0] for row in measured) for way in (1, 2, 3))
    return {
        "audit_fsync_ratio": one,
        "audit_group_waiting_ratio": group,
        "audit_group_commit_ratio": flight,
        "bare_entry_seconds": statistics.median(1 / row[0] for row in measured),
        "audit_entry_seconds": statistics.median(1 / row[1] for row in measured),
    }


def verifying(entries: int) -> dict[str, float]:
    """How long `kedge audit verify` reads a log of so many entries."""
    with opened() as log:
        while log.size < entries:
            log.append(*[entry()] * min(AT_ONCE, entries - log.size))
        log.sign()
        started = time.perf_counter()
        verified = verify(log.folder, log.vkey)
        seconds = time.perf_counter() - started
    return {"audit_verify_seconds": seconds, "audit_verify_count": verified.size}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--entries", type=int, default=100, help="of a writer that waits, per round")
    options.add_argument("--verified", type=int, default=1_000_000, help="entries of the log that is verified")
    options.add_argument("--rows", type=int, default=1_000_000, help="of the frame that is encrypted")
    arguments = options.parse_args()
    figures = appending(arguments.rounds, arguments.entries) | verifying(arguments.verified)
    figures |= encryption.measure(arguments.rows, rounds=9)
    report("audit", figures, arguments.json)


if __name__ == "__main__":
    main()
