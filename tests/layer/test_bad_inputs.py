"""Bad inputs, one row each: what `kedge run` says, what becomes of the delivery, and that nothing is lost.

Every row delivers to one small pipeline that has a good night already, and runs its night by the command line.
"""

import gzip
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands import app, run
from kedge.settings import Settings
from kedge.spec import load
from kedge.workspace import Workspace
from resources import failures

SECRET = "Quintessa"  # part of every person's identifier
ROWS = 60
GOOD, BEFORE = "2026-01-02", "2026-01-01"
DECLARATION = """\
type: pipelines.component.TrainingPipeline
attributes:
  partitions: {{start: {start}, timezone: Europe/Berlin}}
  source: {{files: "{files}"}}
  privacy: {{k: 1}}
  columns:
    customer: {{type: string, role: subject, privacy: token}}
    age: {{type: integer, min: 0, max: 120}}
    since: {{type: date}}
    plan: {{type: category, values: [basic, plus]}}
    town: {{type: category}}
    left: {{type: bool, role: target}}
    balance: {{type: float}}
"""
NAMES = ("customer", "age", "since", "plan", "town", "left", "balance")
FORMATS = {"shop": "csv", "packed": "csv.gz", "lines": "jsonl", "table": "parquet"}
Row = dict[str, str | None]


def people(rows: int = ROWS, seed: int = 0) -> list[Row]:
    """Rows that meet the contract."""
    return [
        {
            "customer": f"{SECRET}-{seed}-{n}",
            "age": str(20 + n % 60),
            "since": str(date(2020, 1, 1) + timedelta(days=n)),
            "plan": ("basic", "plus")[n % 2],
            "town": ("Ulm", "Bonn", "Köln")[n % 3],
            "left": ("false", "true", "false")[n % 3],
            "balance": f"{n * 7.25 - 100}",
        }
        for n in range(rows)
    ]


def csv(rows: list[Row], names: tuple[str, ...] = NAMES) -> str:
    return pl.DataFrame(rows).select(names).write_csv()


def changed(column: str, cell: str | None) -> str:
    """A delivery in which a column holds one value."""
    return csv([row | {column: cell} for row in people()])


def long(column: str, size: int) -> Callable[[Path], object]:
    """A delivery with one long cell; made when it is delivered, not when this table is read."""

    def deliver(path: Path) -> None:
        first, *others = people()
        path.write_text(csv([first | {column: (SECRET * (size // len(SECRET) + 1))[:size]}, *others]))

    return deliver


@dataclass(frozen=True)
class Bad:
    """A row of the table.

    Attributes:
        deliver: puts the delivery at a path.
        said: what the command prints, each of them; empty if the night is done.
        quarantined: rows that are set aside in a night that is done.
        pipeline: which one it is delivered to.
        partition: the night, if it matters.
    """

    deliver: Callable[[Path], object]
    said: tuple[str, ...] = ()
    quarantined: int = 0
    rows: int = ROWS
    pipeline: str = "shop"
    partition: str = field(default="")

    @property
    def done(self) -> bool:
        return not self.said


def text(body: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(body if isinstance(body, bytes) else body.encode())


def announced(whole: bytes, sent: bytes) -> Callable[[Path], object]:
    """A file cut on its way, with a manifest of the whole."""

    def deliver(path: Path) -> None:
        path.write_bytes(sent)
        manifest = {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
        path.with_name(f"{path.name}.manifest").write_text(json.dumps(manifest))

    return deliver


def parquet(**columns: pa.Array) -> Callable[[Path], object]:
    whole = {name: pa.array([row[name] for row in people()]) for name in NAMES} | columns
    return lambda path: pq.write_table(pa.table(whole), path)


def lines(*last: str) -> Callable[[Path], object]:
    return text("".join(f"{line}\n" for line in (*map(json.dumps, people()), *last)))


def header(*names: str) -> str:
    return csv(people()).replace(",".join(NAMES), ",".join(names), 1)


def bomb(path: Path) -> None:
    body = csv(people()).encode()
    path.write_bytes(gzip.compress(body + body.splitlines(keepends=True)[1] * 2_000_000))


WHOLE = csv(people()).encode()
PACKED = gzip.compress(WHOLE)
CUT = WHOLE[:-4]  # in the middle of the last balance

TABLE = {
    "missing file": Bad(lambda path: None, ("the delivery of that day", "no such file")),
    "empty file": Bad(text(""), ("an empty first line, or nothing at all",)),
    "header only": Bad(text(",".join(NAMES) + "\n"), ("rows_present",)),
    "truncated gzip": Bad(text(PACKED[:-20]), ("a gzip file that ends too early",), pipeline="packed"),
    "no gzip": Bad(text(WHOLE), ("a damaged gzip file, or none at all",), pipeline="packed"),
    "cut in a number, with a manifest": Bad(
        announced(WHOLE, CUT), (f"{len(CUT)} bytes where {len(WHOLE)} were announced",)
    ),
    "cut in a number, without": Bad(text(CUT)),  # parses: only the sender can know
    "ragged lines": Bad(text(WHOLE + b"1,2,3\n"), ("7 fields in every row", "1 rows with another number of fields")),
    "invalid utf-8": Bad(text(WHOLE + b"\xff\xfe\n"), ("bytes that are no utf-8",)),
    "utf-16": Bad(text(WHOLE.decode().encode("utf-16")), ("bytes that are no utf-8",)),
    "byte order mark": Bad(text(b"\xef\xbb\xbf" + WHOLE)),
    "duplicate column": Bad(text(header(*NAMES[:-1], "town")), ("field 7 of the header", "one that is there already")),
    "duplicate by case": Bad(text(header(*NAMES[:-1], "Town")), ("field 7 of the header", "one that is there already")),
    "unknown column": Bad(text(csv([row | {"iq": "1"} for row in people()], (*NAMES, "iq"))), ("columns_declared",)),
    "missing column": Bad(text(csv(people(), NAMES[:-1])), ("columns_declared", "balance")),
    "renamed column": Bad(text(header(*NAMES[:-1], "saldo")), ("columns_declared", "balance", "saldo")),
    "retyped column": Bad(text(changed("age", "forty")), ("quarantine_share",)),
    "all-null column": Bad(text(changed("age", None)), ("quarantine_share",)),
    "constant column": Bad(text(changed("town", "Ulm"))),
    "one class in the target": Bad(text(changed("left", "false"))),
    "target missing": Bad(text(csv(people(), tuple(n for n in NAMES if n != "left"))), ("columns_declared", "left")),
    "leap day": Bad(text(WHOLE), partition="2024-02-29", pipeline="old"),
    "night without 02:30": Bad(text(WHOLE), partition="2026-03-29"),
    "sql in a column name": Bad(
        text(header(*NAMES[:-1], '"balance""; DROP TABLE people; --"')), ("columns_declared", "DROP_TABLE")
    ),
    "quotes in a column name": Bad(text(header(*NAMES[:-1], "\"'\"")), ("columns_declared",)),
    "50 MB cell": Bad(long("town", 50_000_000), ("a row longer than 8 MiB",)),
    "2 MB cell": Bad(long("town", 2 << 20), ("cells of at most 1048576 bytes", "column town")),
    "gzip bomb": Bad(bomb, ("unpacks to more than 200 times its size",), pipeline="packed"),
    "100,000 columns": Bad(text(header(*NAMES[:-1], *(f"c{n}" for n in range(99_994)))), ("100000 fields", "2000")),
    "symlink": Bad(lambda path: _link(path, WHOLE), ("a regular file that may be read", "not a link to it")),
    "device": Bad(lambda path: path.symlink_to("/dev/zero"), ("a regular file that may be read",)),
    "pipe": Bad(os.mkfifo, ("a regular file that may be read", "a folder, device, socket or pipe")),
    "folder": Bad(Path.mkdir, ("a regular file that may be read", "a folder, device, socket or pipe")),
    "json: nested": Bad(lines('{"customer": ["a"]}'), ("a list or an object in column customer",), pipeline="lines"),
    "json: no object": Bad(lines(f'"{SECRET}"'), ("no object in line 61",), pipeline="lines"),
    "json: cut": Bad(lines('{"customer": "Quint'), ("no JSON in line 61",), pipeline="lines"),
    "json: unknown key": Bad(lines('{"iq": 1}'), ("columns_declared", "iq"), pipeline="lines"),
    "json: nan": Bad(lines('{"customer": "x", "balance": NaN}'), quarantined=1, rows=ROWS + 1, pipeline="lines"),
    "parquet: nested": Bad(parquet(town=pa.array([["Ulm"]] * ROWS)), ("column town, which is",), pipeline="table"),
    "parquet: binary": Bad(parquet(town=pa.array([b"Ulm"] * ROWS)), ("column town, which is",), pipeline="table"),
    "parquet: unknown column": Bad(parquet(iq=pa.array([1] * ROWS)), ("columns_declared", "iq"), pipeline="table"),
    "parquet: none": Bad(text(WHOLE), ("other bytes than Parquet",), pipeline="table"),
    "parquet: retyped": Bad(parquet(age=pa.array([0.5] * ROWS)), ("quarantine_share",), pipeline="table"),
    "parquet: typed": Bad(parquet(age=pa.array([40] * ROWS), left=pa.array([True, False] * 30)), pipeline="table"),
}  # fmt: skip


# Cells of one night, each in a row of its own: the rule that sets its row aside, or None if it is a value like others.
CELLS: dict[str, tuple[str, str, str | None]] = {
    "nul": ("town", "Ul\0m", "town_type"),
    "right to left": ("town", "\u202emlU", "town_type"),
    "long text": ("town", "x" * 200_000, "town_type"),
    "unseen category": ("plan", "gold", "plan_values"),
    "nan": ("balance", "NaN", "balance_type"),
    "infinity": ("balance", "-inf", "balance_type"),
    "1e308": ("balance", "1e308", "balance_type"),
    "negative number": ("balance", "-12.5", None),
    "integer overflow": ("age", "9223372036854775808", "age_type"),
    "negative age": ("age", "-1", "age_min"),
    "no such day": ("since", "2027-02-29", "since_type"),
    "leap day": ("since", "2028-02-29", None),
    "a date outside the partition": ("since", "2031-05-05", None),  # a column like others: declare max
    "formula": ("town", "=cmd|'/c calc'!A1", None),  # escaped where it leaves: predictions as CSV
    "script": ("town", "</script><script>alert(1)</script>", None),  # escaped where it leaves: reports
}


def _link(path: Path, body: bytes) -> None:
    target = path.with_name("elsewhere")
    target.write_bytes(body)
    path.symlink_to(target)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Pipelines of one contract, one per format, each with a good night."""
    base = tmp_path_factory.mktemp("shop")
    places = {name: str(base / name.lower()) for name in ("HOME", "KEYS", "DATA", "PIPELINES")}
    settings = Settings.from_environment({f"KEDGE_{name}": place for name, place in places.items()})
    for name, suffix in (FORMATS | {"old": "csv"}).items():
        folder = settings.pipelines / name
        folder.mkdir(parents=True)
        files, start = f"{name}/{{date}}.{suffix}", "2024-02-01" if name == "old" else BEFORE
        (folder / "defs.yaml").write_text(DECLARATION.format(files=files, start=start))
        (settings.data / name).mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        _environment(settings, patch)
        patch.setattr(failures, "RETRY_SECONDS", 0)
        patch.delitem(sys.modules, "pipelines.definitions", raising=False)
        run._job.cache_clear()
        for name in FORMATS:
            _deliver_good(settings, name, BEFORE)
        with _quiet():
            for name in FORMATS:
                assert _kedge("run", name, "--partition", BEFORE) == 0
        yield settings
        sys.modules.pop("pipelines.definitions", None)
        run._job.cache_clear()


@pytest.fixture
def places(shop: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The places of `shop`, in the environment of this test."""
    _environment(shop, monkeypatch)
    return shop


def _environment(settings: Settings, patch: pytest.MonkeyPatch) -> None:
    for name in ("home", "keys", "data", "pipelines"):
        patch.setenv(f"KEDGE_{name.upper()}", str(getattr(settings, name)))
    patch.setenv("COLUMNS", "1000")


@contextmanager
def _quiet() -> Iterator[None]:
    with Path(os.devnull).open("w") as nothing, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", nothing)
        yield


def _kedge(*words: str) -> int:
    """Exit code of a command, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["kedge", *words])
        with pytest.raises(SystemExit) as ended:
            app.main()
    return int(ended.value.code or 0)


def _inbox(settings: Settings, pipeline: str, partition: str) -> Path:
    suffix = FORMATS.get(pipeline, "csv")
    return settings.data / pipeline / f"{partition}.{suffix}"


def _deliver_good(settings: Settings, pipeline: str, partition: str, seed: int = 1) -> None:
    path, rows = _inbox(settings, pipeline, partition), people(seed=seed)
    match FORMATS[pipeline]:
        case "csv":
            path.write_text(csv(rows))
        case "csv.gz":
            path.write_bytes(gzip.compress(csv(rows).encode()))
        case "jsonl":
            path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        case "parquet":
            pl.DataFrame(rows).write_parquet(path)


def _current(settings: Settings, pipeline: str, dataset: str, partition: str) -> str | None:
    declaration = load(settings.pipelines / pipeline / "defs.yaml")
    version = Workspace.open(settings).dataset(declaration.name, dataset).current(partition)
    return version.id if version else None


def _rows(settings: Settings, pipeline: str, dataset: str, partition: str) -> pl.DataFrame:
    """Rows of the current version, decrypted."""
    version = Workspace.open(settings).dataset(pipeline, dataset).current(partition)
    assert version is not None
    return version.scan().collect()


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    if not os.path.lexists(path):
        return None
    status = path.lstat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _nights() -> Iterator[str]:
    return (str(date(2026, 1, 5) + timedelta(days=n)) for n in range(70))


NIGHTS = dict(zip(TABLE, _nights(), strict=False))


@pytest.mark.parametrize("name", TABLE)
def test_a_bad_input_is_said_plainly_and_loses_nothing(
    places: Settings, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = TABLE[name]
    partition = bad.partition or NIGHTS[name]
    path = _inbox(places, bad.pipeline, partition)
    bad.deliver(path)
    before = _fingerprint(path)
    known = [_current(places, p, dataset, BEFORE) for p in FORMATS for dataset in ("raw", "validated", "anonymized")]

    code = _kedge("run", bad.pipeline, "--partition", partition)

    printed = "".join(capfd.readouterr())
    assert code == (0 if bad.done else 1), printed
    for words in bad.said:
        assert words in printed
    assert SECRET not in printed
    assert "Traceback" not in printed
    assert _fingerprint(path) == before, "the delivery is still there"
    assert None not in known
    assert known == [_current(places, p, d, BEFORE) for p in FORMATS for d in ("raw", "validated", "anonymized")]
    if bad.done:
        assert _rows(places, bad.pipeline, "quarantine", partition).height == bad.quarantined
        assert _rows(places, bad.pipeline, "anonymized", partition).height == bad.rows - bad.quarantined
    else:
        assert _current(places, bad.pipeline, "validated", partition) is None
        assert _current(places, bad.pipeline, "anonymized", partition) is None


@pytest.fixture(scope="module")
def cells(shop: Settings) -> tuple[dict[int, list[str]], pl.DataFrame]:
    """The night of `CELLS`: names of the rules that each row set aside breaks, and the rows that are left."""
    rows = people(200, seed=3)
    for row, (column, cell, _) in zip(rows, CELLS.values(), strict=False):
        row[column] = cell
    partition = "2026-04-22"
    _inbox(shop, "shop", partition).write_text(csv(rows))
    with pytest.MonkeyPatch.context() as patch, _quiet():
        _environment(shop, patch)
        assert _kedge("run", "shop", "--partition", partition) == 0
    aside = _rows(shop, "shop", "quarantine", partition)
    return dict(aside.select("_row", "_reasons").iter_rows()), _rows(shop, "shop", "validated", partition)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_that_breaks_a_rule_sets_its_own_row_aside(
    cells: tuple[dict[int, list[str]], pl.DataFrame], name: str
) -> None:
    aside, left = cells
    row, (column, cell, rule) = list(CELLS).index(name), CELLS[name]
    assert aside.get(row) == (None if rule is None else [rule])
    kept = left.filter(pl.col("_row") == row)
    assert kept.height == (rule is None)
    if rule is None:
        assert str(kept[column].item()) == cell, "kept as it came"
    assert aside.keys() <= set(range(len(CELLS)))


@pytest.mark.parametrize("key", ["../../etc", "2026-01-05\n", "x" * 300, "2026-1-5", "2026-01-05; DROP TABLE"])
def test_a_partition_that_is_no_date_is_refused_and_not_repeated(
    places: Settings, key: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _kedge("run", "shop", "--partition", key) == 2
    said = capfd.readouterr().err
    assert f"partition: needs a date such as 2026-01-31; got {len(key)} other characters" in said
    assert key not in said


def test_a_day_that_has_not_ended_is_no_partition_yet(places: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    assert _kedge("run", "shop", "--partition", "2128-02-29") == 2
    assert "partition: needs a day that has ended" in capfd.readouterr().err


def test_a_file_that_changes_while_it_is_read_is_left_for_later(
    places: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """A sender appends rows all the time; once it has stopped, the same night takes the whole file."""
    partition, stop = "2026-04-20", threading.Event()
    path = _inbox(places, "shop", partition)
    path.write_bytes(WHOLE)

    def append() -> None:
        rows = csv(people(1, seed=9)).splitlines(keepends=True)[1:]
        with path.open("a") as file:
            while not stop.wait(0.001):
                file.writelines(rows * 10)
                file.flush()

    sender = threading.Thread(target=append)
    sender.start()
    try:
        assert _kedge("run", "shop", "--partition", partition) == 1
    finally:
        stop.set()
        sender.join()
    printed = "".join(capfd.readouterr())
    assert "a file that rests; got other bytes than a moment ago" in printed
    assert SECRET not in printed
    assert _current(places, "shop", "raw", partition) is None
    assert _kedge("run", "shop", "--partition", partition) == 0
    assert _rows(places, "shop", "raw", partition).height == len(path.read_text().splitlines()) - 1


@pytest.mark.parametrize("pipeline", ["shop", "table"])
def test_the_next_good_night_runs(places: Settings, pipeline: str) -> None:
    _deliver_good(places, pipeline, GOOD, seed=2)
    assert _kedge("run", pipeline, "--partition", GOOD) == 0
    assert _rows(places, pipeline, "anonymized", GOOD).height == ROWS
    assert _rows(places, pipeline, "validated", BEFORE).height == ROWS


def test_a_corrected_delivery_takes_the_place_of_a_refused_one(places: Settings) -> None:
    partition = "2026-04-21"
    path = _inbox(places, "shop", partition)
    for body, code in ((WHOLE + b"1,2\n", 1), (WHOLE, 0)):
        path.write_bytes(body)
        assert _kedge("run", "shop", "--partition", partition) == code
    assert _rows(places, "shop", "anonymized", partition).height == ROWS


def test_every_format_gives_the_same_rows(places: Settings) -> None:
    first, *others = (_rows(places, name, "validated", BEFORE) for name in FORMATS)
    assert all(first.equals(other) for other in others)


def test_a_corrected_delivery_of_a_known_day_is_told(places: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    partition = "2026-04-24"
    told = []
    for seed in (5, 6, 6):
        _inbox(places, "shop", partition).write_text(csv(people(seed=seed)))
        assert _kedge("run", "shop", "--partition", partition) == 0
        printed = "".join(capfd.readouterr()).split()
        told.append("another delivery of a known day; raw is now" in " ".join(printed))
        version = _current(places, "shop", "raw", partition)
        assert (version in printed) == told[-1]
    assert told == [False, True, False]
