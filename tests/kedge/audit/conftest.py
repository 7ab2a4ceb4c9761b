"""A log in a folder of its own, and the bare facts to look at it from outside."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kedge.audit.log import Log
from kedge.keys import KeyRing

OpenLog = Callable[[], Log]


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "keys", "lake1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "audit" / "bank"


@pytest.fixture
def open_log(folder: Path, keys: KeyRing) -> Iterator[OpenLog]:
    """Opens the log again, each time as if by another process."""
    opened: list[Log] = []

    def open_one() -> Log:
        opened.append(Log.open(folder, pipeline="bank", lake_id="lake1", keys=keys))
        return opened[-1]

    yield open_one
    for log in opened:
        log._forget()


@pytest.fixture
def log(open_log: OpenLog) -> Log:
    return open_log()


@pytest.fixture
def stored(folder: Path) -> Callable[[], list[dict[str, Any]]]:
    """The entries as the file holds them."""
    return lambda: [json.loads(line) for line in (folder / "log.jsonl").read_bytes().splitlines()]
