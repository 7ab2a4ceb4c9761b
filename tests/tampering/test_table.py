"""What somebody can do to a store, what a reader is told, and what `kedge verify` says and leaves with."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from commands import keys as commands
from kedge.audit.anchor import FileAnchor
from kedge.errors import KedgeError
from kedge.exitcode import CODES

FIRST, SECOND, THIRD = "2026-01-01", "2026-01-02", "2026-01-03"
ALL = "all"
ROWS = "rows.parquet"

WELL = "reads what was written"
LESS = "reads less, or what was current before"


@dataclass(frozen=True)
class Row:
    """One tampering.

    Attributes:
        name: of it.
        do: does it, given the vault and the one that it was earlier.
        part: whose exit code `kedge verify` leaves with.
        said: what the first finding says; a pattern.
        read: what a reader is told; a pattern, or `WELL`, or `LESS`.
    """

    name: str
    do: Callable[[Any, Any], object]
    part: str
    said: str
    read: str


def flip(path: Path, at: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut(path: Path, count: int = 10) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def put(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))


def link(path: Path) -> None:
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def other_night(vault: Any, dataset: str = "anonymized") -> Path:
    return Path(vault.version(dataset, THIRD))


def superseded(vault: Any, dataset: str = "anonymized") -> Path:
    """The version of the second night that another delivery has replaced."""
    current = vault.version(dataset, SECOND)
    return next(path for path in sorted(vault.partition(dataset, SECOND).glob("v*")) if path != current)


def lines(vault: Any, change: Callable[[list[bytes]], list[bytes]]) -> None:
    log = vault.trail / "log.jsonl"
    log.write_bytes(b"".join(change(log.read_bytes().splitlines(keepends=True))))


def older_trail(vault: Any, before: Any) -> None:
    shutil.rmtree(vault.trail)
    shutil.copytree(before.trail, vault.trail)


def anchored(vault: Any, before: Any) -> None:
    """The last checkpoint is kept in a second place; then the older trail is put back."""
    place = vault.folder / "anchor"
    place.mkdir()
    declared = vault.folder / "pipelines" / "bank" / "defs.yaml"
    content = json.loads(declared.read_text())
    content["attributes"]["audit"] = {"anchor": str(place)}
    declared.write_text(json.dumps(content))
    notes = (vault.trail / "checkpoints").read_text().split("\n\n")
    FileAnchor(place).put("\n\n".join(notes[-3:-1]) + "\n")
    older_trail(vault, before)


def destroyed_wrapping(vault: Any, before: Any) -> None:
    put(before.version("anonymized") / "keys.json", vault.version("anonymized") / "keys.json")


def move_zone(vault: Any, _: Any) -> None:
    shutil.move(vault.partition("validated").parent, vault.partition("anonymized").parent.parent / "validated")


def fork_ring(vault: Any, _: Any) -> None:
    content = json.loads(vault.ring.read_text())
    content["lake"] = "l" + "0" * 32
    vault.ring.write_text(json.dumps(content))


def new_unlock_key(vault: Any, _: Any) -> None:
    (vault.ring.parent / "unlock.key").write_text("A" * 43 + "=\n")


def rewrapped(path: Path) -> None:
    """A bit of a wrapped key."""
    edit(path, r'"wrapped": "(..)', lambda found: f'"wrapped": "{"AA" if found[1] != "AA" else "BB"}')  # type: ignore[arg-type]


def resign(path: Path) -> None:
    """Another character in the last signature."""
    text = path.read_text()
    path.write_text(f"{text[:-40]}{'A' if text[-40] != 'A' else 'B'}{text[-39:]}")


def data(vault: Any, dataset: str = "anonymized", night: str = FIRST) -> Path:
    return Path(vault.version(dataset, night) / ROWS)


def manifest(vault: Any, night: str = FIRST) -> Path:
    return Path(vault.version("anonymized", night) / "manifest.json")


def keys(vault: Any, night: str = FIRST) -> Path:
    return Path(vault.version("anonymized", night) / "keys.json")


def pointer(vault: Any, night: str = FIRST) -> Path:
    return Path(vault.partition("anonymized", night) / "current.json")


def model(vault: Any) -> Path:
    return Path(vault.version("model", ALL))


def decision(vault: Any, number: int) -> Path:
    return Path(vault.folder / "home" / "registry" / "bank" / f"{number:06d}.json")


def lake(vault: Any) -> Path:
    return Path(vault.folder / "home" / "lake")


def secrets(vault: Any) -> Path:
    return lake(vault) / "restricted" / "bank" / "secrets.json"


EDITED = "needs the manifest that was written there; got a manifest that was edited"
TABLE = (
    # data
    Row("a bit of a data file", lambda v, _: flip(data(v)), "data", "got +altered bytes$", "got altered bytes\\."),
    Row("a cut data file", lambda v, _: cut(data(v)), "data", "a truncated file", "a truncated file: "),
    Row("a longer data file", lambda v, _: data(v).write_bytes(data(v).read_bytes() + b"more"), "data",
        "4 more", "4 more"),
    Row("bytes of another night", lambda v, _: exchange(data(v), data(v, night=THIRD)), "data",
        f"bytes of open/bank/anonymized/{THIRD}", f"bytes of open/bank/anonymized/{THIRD}"),
    Row("bytes of another version", lambda v, _: put(superseded(v) / ROWS, data(v, night=SECOND)), "data",
        f"{SECOND}/v.*\n.*\n.*bytes of open/bank/anonymized/{SECOND}", f"bytes of open/bank/anonymized/{SECOND}"),
    Row("bytes of another dataset", lambda v, _: put(data(v, "raw"), data(v, "validated")), "data",
        "bytes of restricted/bank/raw", "bytes of restricted/bank/raw"),
    Row("bytes of another zone", lambda v, _: put(data(v), data(v, "predictions_restricted", THIRD)), "data",
        f"bytes of open/bank/anonymized/{FIRST}", f"bytes of open/bank/anonymized/{FIRST}"),
    Row("plaintext Parquet", lambda v, _: pl.DataFrame({"_row": [1]}).write_parquet(data(v)), "data",
        "a plaintext Parquet file", "a plaintext Parquet file"),
    Row("a removed data file", lambda v, _: data(v).unlink(), "data", "rows.parquet\n.*\n.*no such file", "no such"),
    Row("a link to a data file", lambda v, _: link(data(v)), "data", "a link or a folder", "a link or a folder"),
    Row("an extra file", lambda v, _: (data(v).parent / "notes.txt").write_text("x"), "data", "one more", WELL),
    Row("a removed old version", lambda v, _: shutil.rmtree(superseded(v)), "data", "no such folder", WELL),
    Row("an extra file beside datasets", lambda v, _: (lake(v) / "open/bank/x.bin").touch(), "data",
        "open/bank\n.*\n.*one more", WELL),
    # manifest
    Row("an edited fact", lambda v, _: edit(manifest(v), r'"rows": \d+', '"rows": 7'), "manifest",
        "was edited", EDITED),
    Row("a cut manifest", lambda v, _: cut(manifest(v)), "manifest", "no sealed manifest", "no sealed manifest"),
    Row("a removed manifest", lambda v, _: manifest(v).unlink(), "manifest",
        "json\n.*\n.*no such file", "no such file"),
    Row("the manifest of another night", lambda v, _: put(manifest(v, THIRD), manifest(v)), "manifest",
        f"manifest of open/bank/anonymized/{THIRD}.*swapped", "a swapped version"),
    Row("an old version under the new one's name",
        lambda v, _: shutil.copytree(superseded(v), v.version("anonymized", SECOND), dirs_exist_ok=True), "manifest",
        f"manifest of open/bank/anonymized/{SECOND}.*swapped", f"manifest of open/bank/anonymized/{SECOND}"),
    Row("a dataset in the other zone", move_zone, "pointer", "open/bank/validated.*\n.*\n.*at another place", LESS),
    # keys
    Row("a bit of a wrapped key", lambda v, _: rewrapped(keys(v)), "keys", "a wrong key, altered bytes", "a wrong key"),
    Row("keys of another night", lambda v, _: put(keys(v, THIRD), keys(v)), "keys",
        "from another place", "a wrong key"),
    Row("a cut keys file", lambda v, _: cut(keys(v)), "keys", "hold no such key", "hold no such key"),
    Row("a removed keys file", lambda v, _: keys(v).unlink(), "keys", "file was removed", "the file was removed"),
    Row("keys from before the rotation", destroyed_wrapping, "key", "a key that was destroyed at", "was destroyed at"),
    # pointer
    Row("an edited pointer", lambda v, _: edit(pointer(v), r'"sequence": \d', '"sequence": 9'), "pointer",
        "one that was edited", "one that was edited"),
    Row("the pointer of another night", lambda v, _: put(pointer(v, THIRD), pointer(v)), "pointer",
        "at another place", "at another place"),
    Row("a pointer that is none", lambda v, _: pointer(v).write_text("{"), "pointer", "no pointer", "no pointer"),
    Row("an older pointer", lambda v, b: put(pointer(b, SECOND), pointer(v, SECOND)), "pointer",
        "an older pointer that was put back", LESS),
    Row("a removed pointer", lambda v, _: pointer(v).unlink(), "pointer", "current.json\n.*\n.*no such file", LESS),
    # log and checkpoints
    Row("an edited entry",
        lambda v, _: lines(v, lambda e: [*e[:4], e[4].replace(b'"pid":', b'"pid":1'), *e[5:]]), "log",
        r"entry 4, edit", "entries that were changed"),
    Row("a removed entry", lambda v, _: lines(v, lambda e: e[:4] + e[5:]), "log", r"entry 4, delete",
        "got 7"),
    Row("an inserted entry", lambda v, _: lines(v, lambda e: [*e[:4], e[9], *e[4:]]), "log", "entry 4, insert",
        "entries that were changed"),
    Row("entries in another order", lambda v, _: lines(v, lambda e: [*e[:4], e[5], e[4], *e[6:]]), "log",
        r"entry 4, reorder", WELL),
    Row("a cut log", lambda v, _: lines(v, lambda e: e[:-3]), "log", "truncation", "log"),
    Row("an older log with its checkpoints", older_trail, "log", "an older copy of the log", WELL),
    Row("an older log, anchored since", anchored, "anchor", "rollback", WELL),
    Row("a removed log", lambda v, _: shutil.rmtree(v.trail), "log", "got +no log", WELL),
    Row("a bit of a signature", lambda v, _: resign(v.trail / "checkpoints"), "checkpoint", "does not hold", "hold"),
    Row("removed checkpoints", lambda v, _: (v.trail / "checkpoints").unlink(), "checkpoint",
        "every log has one", WELL),
    Row("another signing key", lambda v, _: rewrapped(v.trail / "signer.json"), "keys", "signer.json\n", "signer"),
    # keys of keys
    Row("an edited key ring", lambda v, _: edit(v.ring, r'"sealed": "..', '"sealed": "00'), "ring",
        "one that was edited", r"ring.json\).*one that was edited"),
    Row("a key ring that others may read", lambda v, _: v.ring.chmod(0o644), "ring", "0644", "0644"),
    Row("an older key ring", lambda v, b: put(b.ring, v.ring), "ring",
        "an older copy that was put back", "never held it"),
    Row("the key ring of another lake", fork_ring, "ring", "key ring of another lake", "key ring of another lake"),
    Row("a key ring that is none", lambda v, _: cut(v.ring), "ring", "that are no key ring", "no key ring"),
    Row("a removed key ring", lambda v, _: v.ring.unlink(), "key", "KEDGE_KEYS\n.*\n.*no such file", "no such file"),
    Row("another unlocking key", new_unlock_key, "key", "another one, or a ring whose note", "another one, or a ring"),
    # models
    Row("a bit of the weights", lambda v, _: flip(model(v) / "model.safetensors"), "model",
        "altered bytes", "model.saf"),
    Row("settings for weights", lambda v, _: put(model(v) / "model.json", model(v) / "model.safetensors"), "model",
        "bytes of open/bank/model", "bytes of open/bank/model"),
    Row("the copy in MLflow", lambda v, _: flip(v.copy / "data" / "model.safetensors"), "model",
        "MLflow.*\n.*\n.*other", WELL),
    Row("a pickle in MLflow", lambda v, _: (v.copy / "data" / "model.pkl").touch(), "model", "MLflow", WELL),
    Row("another loader in MLflow", lambda v, _: edit(v.copy / "MLmodel", "kedge.scoring", "x"), "model",
        "MLflow", WELL),
    # decisions
    Row("an edited decision", lambda v, _: edit(decision(v, 1), "promote", "refuse"), "decision", "edited", "edited"),
    Row("another decision's file", lambda v, _: put(decision(v, 1), decision(v, 2)), "decision",
        "000002.*\n.*\n.*of another number", "of another number"),
    Row("a cut history", lambda v, _: decision(v, 2).unlink(), "decision", "the history was cut", LESS),
    Row("a gap in the history", lambda v, _: decision(v, 1).unlink(), "decision",
        "the last numbered 2", "without a gap"),
    # secrets and the lake itself
    Row("a bit of a secret", lambda v, _: rewrapped(secrets(v)), "secrets",
        "a wrong key", "wrapped key of restricted/bank"),
    Row("removed secrets", lambda v, _: secrets(v).unlink(), "secrets",
        "no such file", "although the pipeline has data"),
    Row("cut secrets", lambda v, _: cut(secrets(v)), "secrets", "not the secrets of", "not the secrets of this"),
    Row("no lake.json", lambda v, _: (lake(v) / "lake.json").unlink(), "lake",
        "the lake that the audit trail tells of", "the lake that the audit trail tells of"),
    Row("a lake.json that is none", lambda v, _: (lake(v) / "lake.json").write_text("{}"), "lake",
        "no lake", "no lake"),
)  # fmt: skip


@pytest.fixture(scope="session")
def written(vaults: Any) -> dict[str, str]:
    """What the untouched vault reads, as a whole."""
    found: dict[str, str] = vaults[1].read()
    return found


def test_an_untouched_vault_is_well(vault: Any, written: Any, monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    for _ in range(2):  # the second time with the entries of the reads
        code, told = vault.kedge(monkeypatch, capsys, "verify", "bank", "--json", str(tmp_path / "found.json"))
        assert (code, vault.read()) == (0, written), told
        assert "everything is what was written" in told
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["found"], found["code"], found["decisions"]) == ([], 0, 2)
    assert found["versions"] > found["pointers"] > 10


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_is_told(row: Row, vault: Any, vaults: Any, written: Any, monkeypatch: Any, capsys: Any) -> None:
    row.do(vault, vaults[0])
    seen = vault.copied(vault.folder.with_name("seen"))
    code, told = seen.kedge(monkeypatch, capsys, "verify", "bank")
    assert (code, bool(re.search(row.said, told, re.MULTILINE))) == (CODES[row.part], True), told
    if row.read in (WELL, LESS):
        assert (vault.read() == written) is (row.read == WELL)
        return
    with pytest.raises(KedgeError, match=row.read):
        vault.read()


def test_data_that_were_given_up_with_their_key_are_no_finding(vault: Any, monkeypatch: Any, capsys: Any) -> None:
    keys_of = {"report": None, "console": Console(file=StringIO()), "with_data": True, "yes": True}
    assert commands.destroy(vault.settings, "bank", "open", None, **keys_of)
    code, told = vault.kedge(monkeypatch, capsys, "verify", "bank")
    assert code == 0, told
    assert "a key of open was destroyed with its data" in told
    with pytest.raises(KedgeError, match="a key that was destroyed at"):
        vault.read()


def test_there_are_enough_of_each_kind() -> None:
    assert len(TABLE) >= 30
    assert {row.part for row in TABLE} == set(CODES)
    assert len({(row.part, row.said) for row in TABLE}) >= len(TABLE) - 2
