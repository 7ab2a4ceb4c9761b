"""Random changes of random files of a store: nothing is silent, nothing crashes, and nothing wrong is read.

`make test-faults` does it for a minute; MUTATOR_SECONDS and MUTATOR_SEED change how long and how.
"""

import os
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kedge.errors import KedgeError
from kedge.verification import verify

DERIVED = {"tree", "ends", "settled.json", "configuration"}
AROUND = {"MLmodel", "requirements.txt", "python_env.yaml"}  # beside the copy of a model; its loader is compared
EXCUSED = {
    ("checkpoints", "cut"): "looks as if a process was killed before it signed; the next one signs again",
    ("checkpoints", "zero"): "the same, when the end of the file is hit",
    ("checkpoints", "extend"): "looks as if a process was killed while it signed; the next one cuts it",
    ("log.jsonl", "extend"): "looks as if a process was killed in the middle of a line; the next one cuts it",
    ("unlock.key", "flip"): "bits that base64 does not use, or the line feed at the end",
    ("unlock.key", "extend"): "what follows the key",
    ("unlock.key", "duplicate"): "the same",
    ("unlock.key", "cut"): "the line feed at the end",
}
"""What may be silent, as long as everything is read as it was written."""


def flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def extend(data: bytes, chance: random.Random) -> bytes:
    return data + chance.randbytes(chance.randint(1, 64))


def zero(data: bytes, chance: random.Random) -> bytes:
    start, size = _block(data, chance)
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]


def duplicate(data: bytes, chance: random.Random) -> bytes:
    start, size = _block(data, chance)
    return data[: start + size] + data[start:]


def _block(data: bytes, chance: random.Random) -> tuple[int, int]:
    return chance.randrange(len(data)), chance.randint(1, max(1, len(data) // 4))


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    change.__name__: change for change in (flip, cut, extend, zero, duplicate)
}
KINDS = [*CHANGES, "swap", "delete"]


def mutate(vault: Any, chance: random.Random) -> tuple[Path, str] | None:
    """Change a file of the vault; which, and how; None when that changes nothing."""
    files = sorted(path for path in _places(vault) if path.is_file())
    path, kind = chance.choice(files), chance.choice(KINDS)
    data = path.read_bytes()
    if kind == "delete":
        path.unlink()
        return path, kind
    if kind == "swap":
        other = chance.choice(files)
        changed = other.read_bytes()
        other.write_bytes(data)
        path = other if changed == b"" else path
    elif not data:
        return None
    else:
        changed = CHANGES[kind](data, chance)
    path.write_bytes(changed)
    return None if changed == data else (path, kind)


def _places(vault: Any) -> list[Path]:
    home = vault.folder / "home"
    stored = [home / "lake", home / "audit", home / "registry", home / "mlflow" / "artifacts", vault.folder / "keys"]
    return [path for folder in stored for path in folder.rglob("*")]


def _may_be_silent(path: Path, kind: str) -> bool:
    derived = path.name in DERIVED | AROUND or path.name.startswith(".") or path.suffix == ".lock"
    return derived or (path.name, kind) in EXCUSED


def _reported(vault: Any) -> bool:
    try:
        return bool(verify(vault.settings, vault.declaration).found)
    except KedgeError:
        return True


def _read(vault: Any) -> dict[str, str] | None:
    try:
        found: dict[str, str] = vault.read()
    except KedgeError:
        return None
    return found


def mutations(vault: Any, written: dict[str, str], folder: Path, seconds: float, seed: int) -> Counter[str]:
    """Mutate fresh copies until the time is over; how many were told by whom."""
    chance, told, end = random.Random(seed), Counter[str](), time.monotonic() + seconds
    while time.monotonic() < end:
        copy = vault.copied(folder / "copy")
        done = mutate(copy, chance)
        if done is not None:
            path, kind = done
            what = f"seed {seed}, mutation {told.total()}: {kind} of {path.relative_to(copy.folder)}"
            try:
                reported, found = _reported(copy), _read(copy)
            except Exception as error:
                raise AssertionError(what) from error
            assert reported or _may_be_silent(path, kind), f"{what}: kedge verify is silent"
            assert found is None or found.items() <= written.items(), f"{what}: something else is read"
            assert reported or found == written, f"{what}: less is read, and nothing told"
            told["reported" if reported else "harmless"] += 1
            told["read refused"] += found is None
        shutil.rmtree(copy.folder)
    return told


@pytest.fixture(scope="session")
def written(vaults: Any) -> dict[str, str]:
    found: dict[str, str] = vaults[1].read()
    return found


@pytest.mark.faults
def test_random_changes_for_a_minute(vaults: Any, written: dict[str, str], tmp_path: Path) -> None:
    seed = int(os.environ.get("MUTATOR_SEED") or time.time_ns() % 1_000_000)
    seconds = float(os.environ.get("MUTATOR_SECONDS") or 60)
    told = mutations(vaults[1], written, tmp_path, seconds, seed)
    count = told["reported"] + told["harmless"]
    sys.stdout.write(
        f"\n{count} random changes in {seconds:.0f} s (seed {seed}): kedge verify told {told['reported']}, "
        f"{told['harmless']} were of derived or spare bytes, a read was refused {told['read refused']} times\n"
    )
    assert told["reported"] >= min(seconds / 3, 20)
