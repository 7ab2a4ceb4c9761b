"""Rotation and destruction of keys: what changes, what does not, what stays readable and what never is again."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import polars as pl
import pytest

from kedge.errors import Tampered, Terminal
from kedge.keys import KeyGone, new_key
from kedge.lake import Dataset, Draft, Lake, Outcome, produce
from kedge.lake.rotation import audit_signer, destroy, rotate
from kedge.outcome import Findings

Store = Callable[..., Outcome]
ROOT = Path(__file__).parents[3]
DAY, OTHER = "2026-01-01", "2026-01-02"


def current(lake: Lake, zone: str = "restricted") -> str:
    return next(kek.id for kek in lake.keys.keys("bank") if kek.zone == zone and kek.current)


def living(lake: Lake, zone: str = "restricted") -> list[str]:
    return [kek.id for kek in lake.keys.keys("bank") if kek.zone == zone and not kek.destroyed]


def keks(path: Path) -> set[str]:
    content = json.loads(path.read_text())
    return {wrapped["kek"] for wrapped in content.get("keys", content.get("secrets")).values()}


def stored(lake: Lake) -> dict[Path, tuple[bytes, int]]:
    """Content and time of everything that is no lock and holds no wrapped key."""
    files = [path for path in lake.root.rglob("*") if path.is_file() and path.name not in ("keys.json", "secrets.json")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files if "lock" not in path.name}


def opened_again(tmp_path: Path) -> Dataset:
    return Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").dataset("restricted", "bank", "raw")


def rotate_and_destroy(lake: Lake) -> None:
    """A rotation, and the end of every key but the new one."""
    kek = rotate(lake, "bank", "restricted").kek
    for old in set(living(lake)) - {kek}:
        destroy(lake, "bank", "restricted", old)


def test_every_wrapped_key_and_nothing_else_changes(raw: Dataset, lake: Lake, store: Store, tmp_path: Path) -> None:
    versions = [
        store(raw, delivery="d1").version,
        store(raw, delivery="d2").version,
        store(raw, OTHER, passed=False).version,
    ]
    elsewhere = store(lake.dataset("open", "bank", "anonymized")).version
    wrapped = [version.path / "keys.json" for version in versions]
    wrapped.append(lake.root / "restricted" / "bank" / "secrets.json")
    before, untouched, token = stored(lake), keks(elsewhere.path / "keys.json"), lake.secrets("bank").token("email")
    old, seen = current(lake), []
    rotation = rotate(lake, "bank", "restricted", progress=lambda done, of: seen.append((done, of)))
    assert (rotation.rewrapped, rotation.current, rotation.lost, rotation.resumed) == (4, 0, 0, False)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert rotation.kek == current(lake) != old
    assert {kek for path in wrapped for kek in keks(path)} == {rotation.kek}
    assert keks(elsewhere.path / "keys.json") == untouched
    assert {path.stat().st_mode & 0o777 for path in wrapped} == {0o644, 0o600}
    assert stored(lake) == before
    assert opened_again(tmp_path).secrets.token("email") == token


def test_all_versions_read_once_the_old_key_is_destroyed(
    raw: Dataset, lake: Lake, store: Store, frame: pl.DataFrame, tmp_path: Path
) -> None:
    first, second, blocked = (
        store(raw, delivery="d1").version,
        store(raw, delivery="d2").version,
        store(raw, OTHER, passed=False).version,
    )
    rotate_and_destroy(lake)
    for dataset in (raw, opened_again(tmp_path)):
        for version in (first, second, blocked):
            again = dataset.version(version.partition, version.id)
            again.check_whole()
            assert again.scan().collect().equals(frame)
    back = store(opened_again(tmp_path), delivery="d1")
    assert back.version == first
    assert back.written, "repointed"
    assert raw.current(DAY) == first
    assert first.scan().collect().equals(frame)


def test_a_key_that_is_needed_is_not_destroyed_by_accident(raw: Dataset, lake: Lake, store: Store) -> None:
    version = store(raw).version
    store(raw, OTHER)
    kek = current(lake)
    with pytest.raises(Terminal, match=r"got one that 3 files need\. Run `kedge keys rotate` first"):
        destroy(lake, "bank", "restricted", kek)
    assert version.scan().collect().height == 1_000
    destroy(lake, "bank", "restricted", kek, with_data=True)
    with pytest.raises(KeyGone, match="destroyed at"):
        version.scan()
    with pytest.raises(KeyGone):
        lake.secrets("bank").token("email")
    with pytest.raises(KeyGone):
        destroy(lake, "bank", "restricted", "k" + "0" * 16)


def test_what_was_destroyed_with_its_data_does_not_stop_a_rotation(lake: Lake, store: Store) -> None:
    dataset = lake.dataset("open", "bank", "anonymized")
    lost = store(dataset).version
    destroy(lake, "bank", "open", current(lake, "open"), with_data=True)
    kept = store(dataset, OTHER).version
    rotation = rotate(lake, "bank", "open")
    assert (rotation.rewrapped, rotation.lost, rotation.resumed) == (1, 1, False)
    assert kept.scan().collect().height == 1_000
    with pytest.raises(KeyGone):
        lost.scan()


def test_one_that_was_cut_off_is_finished_and_no_further_key_made(raw: Dataset, lake: Lake, store: Store) -> None:
    for day in range(1, 5):
        store(raw, f"2026-01-0{day}")

    def cut(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(lake, "bank", "restricted", progress=cut)
    half = current(lake)
    finished = rotate(lake, "bank", "restricted")
    assert (finished.kek, finished.resumed, finished.rewrapped, finished.current) == (half, True, 3, 2)
    assert len(living(lake)) == 2
    assert rotate(lake, "bank", "restricted").kek != half


def test_several_at_once_end_with_one_key(raw: Dataset, lake: Lake, store: Store, tmp_path: Path) -> None:
    versions = [store(raw, f"2026-01-{day:02}").version for day in range(1, 11)]
    lakes = [Lake.open(tmp_path / "home" / "lake", tmp_path / "keys") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = {rotation.kek for rotation in pool.map(lambda each: rotate(each, "bank", "restricted"), lakes)}
    assert current(lake) in made
    assert {kek for version in versions for kek in keks(version.path / "keys.json")} == {current(lake)}
    for kek in set(living(lake)) - {current(lake)}:
        destroy(lake, "bank", "restricted", kek)
    assert [version.scan().collect().height for version in versions] == [1_000] * 10


def test_a_draft_that_was_begun_before_is_wrapped_under_the_new_key(raw: Dataset, lake: Lake) -> None:
    def write(draft: Draft) -> Findings:
        draft.write_bytes(b"begun", "note.txt")
        rotate_and_destroy(lake)
        return Findings()

    version = produce(raw, DAY, inputs={}, declared={}, code=1, write=write).version
    assert version.read_bytes("note.txt") == b"begun"
    assert keks(version.path / "keys.json") == {current(lake)}


class Meanwhile:
    """A journal that lets somebody else begin in the middle of a commit, and sees that he waits."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.thread = Thread(target=self._noted, args=(work,))
        self.waited, self.raised = False, ""

    def _noted(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Terminal as error:
            self.raised = str(error)

    def intent(self, entry: Mapping[str, Any]) -> None:
        self.thread.start()
        self.thread.join(0.3)
        self.waited = self.thread.is_alive()

    def outcome(self, entry: Mapping[str, Any]) -> None: ...
    def read(self, entry: Mapping[str, Any]) -> None: ...
    def denied(self, entry: Mapping[str, Any]) -> None: ...


def test_a_destruction_waits_for_a_commit_and_counts_what_it_brought(lake: Lake, store: Store, tmp_path: Path) -> None:
    dataset = lake.dataset("open", "bank", "anonymized")
    store(dataset)
    other = Lake.open(tmp_path / "home" / "lake", tmp_path / "keys")
    lake.journal = journal = Meanwhile(lambda: destroy(other, "bank", "open", current(other, "open")))
    version = store(dataset, OTHER).version
    journal.thread.join()
    lake.journal = None
    assert journal.waited
    assert "2 files need" in journal.raised
    assert version.scan().collect().height == 1_000


class Overtaken:
    """The lake's own keys; before the next unwrapping, somebody else does `meanwhile`."""

    def __init__(self, lake: Lake) -> None:
        self._keys, self.meanwhile = lake.keys, list[Callable[[], None]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)

    def unwrap(self, pipeline: str, zone: str, wrapped: Mapping[str, Any], context: bytes) -> bytes:
        while self.meanwhile:
            self.meanwhile.pop()()
        return self._keys.unwrap(pipeline, zone, wrapped, context)


def test_a_reader_who_is_overtaken_looks_again(raw: Dataset, lake: Lake, store: Store, tmp_path: Path) -> None:
    version, token = store(raw).version, lake.secrets("bank").token("email")
    reader = opened_again(tmp_path)
    reader.lake.keys = overtaken = Overtaken(reader.lake)  # type: ignore[assignment]
    again, secrets = reader.version(DAY, version.id), reader.secrets
    assert again.manifest.rows == 1_000
    for use, wanted in ((lambda: again.scan().collect().height, 1_000), (lambda: secrets.token("email"), token)):
        overtaken.meanwhile.append(lambda: rotate_and_destroy(lake))
        assert use() == wanted
        assert overtaken.meanwhile == []


READER = """
import sys
from pathlib import Path
from kedge.lake import Lake
lake = Lake.open(Path(sys.argv[1], 'home', 'lake'), Path(sys.argv[1], 'keys'))
version = lake.dataset('restricted', 'bank', 'raw').current('2026-01-01')
secrets = lake.secrets('bank')
uses = {
    'rows': lambda: version.scan().collect().height,
    'report': lambda: len(version.read_bytes('report.html')),
    'token': lambda: len(secrets.token('email')),
    'again': lambda: len(lake.secrets('bank').holdout),
    'current': lambda: version.dataset.current('2026-01-01').manifest.rows,
}
for line in sys.stdin:
    for name, use in uses.items():
        try:
            print(name, use(), flush=True)
        except Exception as error:
            print(name, type(error).__name__, flush=True)
"""


def test_a_process_that_has_read_before_reads_no_more(raw: Dataset, lake: Lake, store: Store, tmp_path: Path) -> None:
    store(raw)
    command = [sys.executable, "-c", READER, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT) as reader:
        assert reader.stdin
        assert reader.stdout

        def ask() -> list[str]:
            print("go", file=reader.stdin, flush=True)
            return [reader.stdout.readline().strip() for _ in range(5)]  # type: ignore[union-attr]

        well = ["rows 1000", "report 8", "token 32", "again 32", "current 1000"]
        assert ask() == well
        rotate_and_destroy(lake)
        assert ask() == well, "a rotation is not noticed"
        destroy(lake, "bank", "restricted", current(lake), with_data=True)
        assert ask() == [f"{use.split()[0]} KeyGone" for use in well]
        reader.stdin.close()


class Denials:
    """A journal that remembers what did not open."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []

    def denied(self, entry: Mapping[str, Any]) -> None:
        self.told.append(entry)


def test_a_secret_that_opened_before_and_opens_no_more_is_told_to_the_journal(lake: Lake) -> None:
    secrets = lake.secrets("bank")
    lake.journal = journal = Denials()  # type: ignore[assignment]
    destroy(lake, "bank", "restricted", current(lake), with_data=True)
    with pytest.raises(KeyGone):
        secrets.token("email")
    entry = {"zone": "restricted", "pipeline": "bank", "file": "secrets.json", "what": "KeyGone"}
    assert journal.told == [entry]


def test_a_backup_from_before_does_not_read(raw: Dataset, lake: Lake, store: Store, tmp_path: Path) -> None:
    version = store(raw).version
    backup = Path(shutil.copytree(lake.root, tmp_path / "backup"))
    restored = Lake.open(backup, tmp_path / "keys").dataset("restricted", "bank", "raw")
    assert restored.version(DAY, version.id).scan().collect().height == 1_000, "it is a backup that reads"
    rotate_and_destroy(lake)
    late = Lake.open(backup, tmp_path / "keys")
    for use in (restored.version(DAY, version.id).scan, lambda: late.secrets("bank")):
        with pytest.raises(KeyGone, match=r"^bank/restricted: needs its key-encryption key .*; got .* destroyed at"):
            use()
    assert version.scan().collect().height == 1_000


def test_a_damaged_file_of_keys_is_named_when_all_others_are_done(raw: Dataset, lake: Lake, store: Store) -> None:
    bad, good = store(raw).version, store(raw, OTHER).version
    old = current(lake)
    (bad.path / "keys.json").write_text('{"format": 1, "keys": {"rows.parquet": 3}}')
    with pytest.raises(Tampered, match=rf"{bad.place}/keys\.json: .* \(1 such file; all others are done\)") as caught:
        rotate(lake, "bank", "restricted")
    assert caught.value.part == "keys"
    assert keks(good.path / "keys.json") == {current(lake)} != {old}
    with pytest.raises(Tampered, match=r"keys\.json"):
        destroy(lake, "bank", "restricted", old)
    assert old in living(lake)


def test_a_signing_key_outside_the_lake_is_rewrapped_too(lake: Lake, tmp_path: Path) -> None:
    folder, seed, context = tmp_path / "home" / "audit" / "bank", new_key(), b"audit/bank/signer.json"
    folder.mkdir(parents=True)
    wrapped = lake.keys.wrap("bank", "audit", seed, context)
    content = {"format": 1, "pipeline": "bank", "vkey": "v", "wrapped": dict(wrapped)}
    (folder / "signer.json").write_text(json.dumps(content))
    further, old = [audit_signer(folder, "bank")], current(lake, "audit")
    with pytest.raises(Terminal, match="1 file needs"):
        destroy(lake, "bank", "audit", old, further)
    rotation = rotate(lake, "bank", "audit", further)
    destroy(lake, "bank", "audit", old, further)
    found = json.loads((folder / "signer.json").read_text())
    assert {name: found[name] for name in ("format", "pipeline", "vkey")} == {
        name: content[name] for name in ("format", "pipeline", "vkey")
    }
    assert found["wrapped"]["kek"] == rotation.kek
    assert lake.keys.unwrap("bank", "audit", found["wrapped"], context) == seed


@pytest.mark.parametrize(("pipeline", "zone"), [("bank", "closed"), ("shop", "restricted"), ("../bank", "open")])
def test_what_stores_nothing_is_not_rotated(raw: Dataset, lake: Lake, store: Store, pipeline: str, zone: str) -> None:
    store(raw)
    before = lake.keys.keys()
    with pytest.raises(Terminal):
        rotate(lake, pipeline, zone)
    with pytest.raises(Terminal):
        destroy(lake, pipeline, zone, current(lake))
    assert lake.keys.keys() == before
