"""No personal value outside the encrypted lake: planted in every column, looked for in everything a pipeline leaves."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from hashlib import blake2b, md5, sha1, sha256
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from commands import run
from kedge.quality import validate
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.testing.planted import Planted, plant, search
from resources.instance import instance

ROWS, BROKEN = 1_500, 40
GOOD = ("2026-01-01", "2026-01-02", "2026-01-03")
UNKNOWN, RAISING, SCORED = "2026-01-04", "2026-01-05", "2026-01-06"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where everything temporary goes, this process's and the training process's."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def _deliver(places: Settings, declaration: Declaration, night: str, seed: int) -> Planted:
    planted = plant(declaration, ROWS, broken=BROKEN, seed=seed)
    planted.write(places.data / "inbox" / f"{night}.csv", declaration)
    return planted


def test_a_leak_on_purpose_is_found(places: Settings, declaration: Declaration) -> None:
    value = plant(declaration, 20, seed=9).values["email"][0]

    @dg.asset
    def leaking(context: dg.AssetExecutionContext) -> None:
        context.log.info(f"a debugging line: {value}")

    with instance(places) as dagster:
        dg.materialize([leaking], instance=dagster)
    found = search([value], places.home)
    assert {hit.form for hit in found} & {"utf-8 in sqlite", "utf-8"}


def test_nothing_personal_is_left_by_good_rows_failing_rows_and_failing_runs(
    places: Settings,
    declaration: Declaration,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    console = Console(width=200)
    planted = {night: _deliver(places, declaration, night, n) for n, night in enumerate((*GOOD, RAISING, SCORED))}
    strange = plant(declaration, ROWS, seed=99)
    strange.frame.rename({"notes": "zqcolumnnamed"}).write_csv(places.data / "inbox" / f"{UNKNOWN}.csv")
    with instance(places) as dagster:
        for night in GOOD:
            assert run.nightly(dagster, declaration.name, night, console)
        assert not run.nightly(dagster, declaration.name, UNKNOWN, console)
        with monkeypatch.context() as broken:
            value = planted[RAISING].values["email"][0]
            broken.setattr(validate, "typed", _raising(value))
            assert not run.nightly(dagster, declaration.name, RAISING, console)
        assert run.retrain(dagster, places, declaration.name, GOOD[-1], console)
        assert run.nightly(dagster, declaration.name, SCORED, console)
    printed = temporary / "printed"
    printed.write_text("".join(capfd.readouterr()))
    values = [value for night in planted.values() for value in night.all_values] + strange.all_values
    assert len(values) > 10 * ROWS
    assert "zqcolumnnamed" in printed.read_text(), "the run whose column is unknown must have said so"
    shutil.rmtree(places.data)
    assert search(values, places.home, places.keys, temporary) == []
    _check_log(places.audit / declaration.name / "log.jsonl", values, places.home)


def _check_log(log: Path, values: list[str], home: Path) -> None:
    """An entry says what was done to what, never how much of a distribution, never where a file lies.

    A digest without a key would let anybody try values until one fits; those of the code, of the declaration and of a
    decision's file hold none, content digests are keyed.
    """
    text = log.read_text()
    entries = [json.loads(line) for line in text.splitlines()]
    found = {entry["action"] for entry in entries}
    assert {"commit", "attempt", "read", "train", "promote", "configuration", "keys.create", "signer"} <= found
    leaves = [leaf for entry in entries for leaf in _leaves(entry)]
    assert not [leaf for leaf in leaves if isinstance(leaf, float)]
    texts = {leaf for leaf in leaves if isinstance(leaf, str)}
    assert str(home) not in text
    assert not [leaf for leaf in texts if "/" in leaf and not leaf.startswith("kedge/")], (
        "no path but the signer's name"
    )
    guesses = {digest(value.encode()).hexdigest() for value in values for digest in (md5, sha1, sha256, blake2b)}
    assert guesses.isdisjoint(texts)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _raising(value: str) -> object:
    def typed(*_: object) -> None:
        raise ValueError(f"conversion from str to date failed for {value}")

    return typed
