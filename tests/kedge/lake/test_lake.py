import json
import pickle
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from kedge.errors import Tampered, Terminal
from kedge.lake import Lake

ROOT = Path(__file__).parents[3]


def test_a_lake_keeps_its_id_and_its_ring_outside(tmp_path: Path, lake: Lake) -> None:
    assert Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").id == lake.id
    assert (tmp_path / "keys" / lake.id / "ring.json").is_file()
    other = Lake.open(tmp_path / "elsewhere", tmp_path / "keys")
    assert other.id != lake.id


def test_only_the_owner_may_enter(tmp_path: Path, lake: Lake) -> None:
    assert (tmp_path / "home" / "lake").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("inside", [".", "keys"])
def test_a_ring_inside_the_lake_is_refused(tmp_path: Path, inside: str) -> None:
    with pytest.raises(Terminal, match="KEDGE_KEYS"):
        Lake.open(tmp_path / "lake", tmp_path / "lake" / inside)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"id": "../x"}'])
def test_a_damaged_id_is_refused(tmp_path: Path, lake: Lake, content: str) -> None:
    (tmp_path / "home" / "lake" / "lake.json").write_text(content)
    with pytest.raises(Tampered, match=r"lake\.json"):
        Lake.open(tmp_path / "home" / "lake", tmp_path / "keys")


def test_a_lost_id_is_not_made_anew(tmp_path: Path, lake: Lake) -> None:
    lake.secrets("bank")
    (tmp_path / "home" / "lake" / "lake.json").unlink()
    with pytest.raises(Tampered, match="although the lake holds data"):
        Lake.open(tmp_path / "home" / "lake", tmp_path / "keys")


def test_the_id_of_another_lake_opens_nothing(tmp_path: Path, lake: Lake) -> None:
    lake.secrets("bank")
    other = Lake.open(tmp_path / "other", tmp_path / "keys")
    (tmp_path / "home" / "lake" / "lake.json").write_text(json.dumps({"format": 1, "id": other.id}))
    with pytest.raises(Terminal, match="key-encryption key"):
        Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").secrets("bank")


def test_secrets_are_stable_separate_and_print_nothing(tmp_path: Path, lake: Lake) -> None:
    secrets = lake.secrets("bank")
    again = Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").secrets("bank")
    mine = [secrets.token("email"), secrets.token("phone"), secrets.holdout, secrets.digest, secrets.index]
    assert mine == [again.token("email"), again.token("phone"), again.holdout, again.digest, again.index]
    other = lake.secrets("shop")
    assert len({*mine, other.token("email"), other.holdout, other.digest, other.index}) == 9
    assert {len(secret) for secret in mine} == {32}
    assert repr(secrets) == "Secrets(***)"
    with pytest.raises(TypeError, match="do not travel"):
        pickle.dumps(secrets)


def test_secrets_survive_a_rotation(tmp_path: Path, lake: Lake) -> None:
    before = lake.secrets("bank").holdout
    lake.keys.rotate("bank", "restricted")  # type: ignore[attr-defined]
    assert Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").secrets("bank").holdout == before


def test_the_secrets_file_is_wrapped_and_private(tmp_path: Path, lake: Lake) -> None:
    holdout = lake.secrets("bank").holdout
    path = tmp_path / "home" / "lake" / "restricted" / "bank" / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert holdout.hex() not in path.read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"pipeline": "bank", "secrets": {}}', "other"])
def test_damaged_secrets_are_refused(tmp_path: Path, lake: Lake, content: str) -> None:
    for pipeline in ("bank", "shop"):
        lake.secrets(pipeline)
    path = tmp_path / "home" / "lake" / "restricted" / "bank" / "secrets.json"
    path.write_text((path.parents[1] / "shop" / path.name).read_text() if content == "other" else content)
    with pytest.raises(Tampered, match=r"secrets\.json"):
        Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").secrets("bank")


def test_lost_secrets_are_not_made_anew(tmp_path: Path, raw, store) -> None:  # type: ignore[no-untyped-def]
    store(raw)
    (tmp_path / "home" / "lake" / "restricted" / "bank" / "secrets.json").unlink()
    with pytest.raises(Tampered, match="new token"):
        Lake.open(tmp_path / "home" / "lake", tmp_path / "keys").secrets("bank")


def test_processes_that_open_a_new_lake_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kedge.lake import Lake; sys.stdin.readline();"
        "lake = Lake.open(Path(sys.argv[1], 'lake'), Path(sys.argv[1], 'keys'));"
        "print(lake.id, lake.secrets('bank').holdout.hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT) for _ in range(2)]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = {process.communicate()[0] for process in started}
    assert len(answers) == 1
    assert answers != {""}
    assert len(list((tmp_path / "keys").iterdir())) == 1


@pytest.mark.parametrize(("zone", "name"), [("closed", "raw"), ("open", "../raw"), ("open", ""), ("open", "a;b")])
def test_odd_names_are_refused(lake: Lake, zone: str, name: str) -> None:
    with pytest.raises(Terminal):
        lake.dataset(zone, "bank", name)  # type: ignore[arg-type]


def test_a_dataset_without_versions_is_empty(lake: Lake) -> None:
    dataset = lake.dataset("open", "bank", "anonymized")
    assert dataset.partitions() == []
    assert dataset.current("2026-01-01") is None
    assert dataset.attempts("2026-01-01") == []
    with pytest.raises(Terminal, match="no such version"):
        dataset.version("2026-01-01", "v" + "0" * 32)
    with pytest.raises(Terminal, match="version"):
        dataset.version("2026-01-01", "../../x")


def test_a_version_that_a_stage_cannot_do_without(lake: Lake, store) -> None:  # type: ignore[no-untyped-def]
    dataset = lake.dataset("restricted", "bank", "raw")
    with pytest.raises(Terminal, match=r"^bank/raw/2026-01-01: needs a current version; got none. Take it first."):
        dataset.require("2026-01-01", "Take it first.")
    with pytest.raises(Terminal, match=r"^bank/raw: needs"):
        dataset.require("all", "Take it first.")
    stored = store(dataset)
    assert dataset.require("2026-01-01", "Take it first.").id == stored.version.id


def test_pipelines_do_not_open_each_others_files(lake: Lake, store) -> None:  # type: ignore[no-untyped-def]
    bank, shop = (lake.dataset("restricted", pipeline, "raw") for pipeline in ("bank", "shop"))
    mine, other = store(bank).version, store(shop).version
    assert mine.file_keys()[0].key != other.file_keys()[0].key
    assert isinstance(mine.scan(), pl.LazyFrame)
    (mine.path / "keys.json").write_bytes((other.path / "keys.json").read_bytes())
    with pytest.raises(Terminal, match="key-encryption key"):
        mine.scan()
