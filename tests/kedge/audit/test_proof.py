"""Proofs: every entry, since every checkpoint, read by the verifier that knows nothing of kedge."""

import base64
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kedge.audit.log import Log
from kedge.audit.proof import prove
from kedge.audit.signer import Signer
from kedge.errors import Tampered, Terminal
from kedge.settings import Settings
from kedge.workspace import Workspace

ROOT = Path(__file__).parents[3]
SIZES = (3, 5, 8, 9, 13)
"""Entries at each checkpoint; entry 0 is the signer's own."""

_spec = importlib.util.spec_from_file_location("single_file_verifier", ROOT / "tools/verify.py")
assert _spec is not None
assert _spec.loader is not None
TOOL = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(TOOL)

Proof = dict[str, Any]


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    lake = Workspace.open(settings).lake
    lake.keys.announce = None
    log = Log.open(settings.audit / "bank", pipeline="bank", lake_id=lake.id, keys=lake.keys)
    for size in SIZES:
        log.append(*({"action": "read", "version": f"v{number}", "why": "ä"} for number in range(log.size, size)))
        log.sign()
    yield log
    log.close()


def checked(proof: Proof, vkey: str, place: Path) -> str:
    place.write_text(json.dumps(proof))
    return str(TOOL.check_proof(place, TOOL.Key.parse(vkey)))


def test_every_entry_and_every_growth_is_proved(log: Log, tmp_path: Path) -> None:
    for number in range(SIZES[-1]):
        for since in (None, *SIZES):
            proof = prove(log, number, since)
            assert json.loads(proof["line"])["action"] == ("read" if number else "signer")
            said = checked(proof, log.vkey, tmp_path / "proof")
            assert said.startswith(f"entry {number} is in the log of 13 entries")
            assert said.endswith(f"continues the one of {since} entries") == (since is not None)


def _other_line(proof: Proof) -> None:
    proof["line"] = proof["line"].replace("read", "none")


def _other_number(proof: Proof) -> None:
    proof["entry"] += 1


def _other_hash(proof: Proof) -> None:
    proof["inclusion"][1] = base64.b64encode(bytes(32)).decode()


def _one_hash_less(proof: Proof) -> None:
    proof["since"]["consistency"].pop()


def _other_growth(proof: Proof) -> None:
    proof["since"]["consistency"].reverse()


def _other_size(proof: Proof) -> None:
    proof["checkpoint"] = proof["checkpoint"].replace("\n13\n", "\n14\n")


def _nothing_signed(proof: Proof) -> None:
    proof["since"]["checkpoint"] = proof["since"]["checkpoint"].partition("\n\n")[0] + "\n"


def _no_list(proof: Proof) -> None:
    proof["inclusion"] = 7


def _no_proof(proof: Proof) -> None:
    proof.clear()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (_other_line, "log"),
        (_other_number, "log"),
        (_other_hash, "log"),
        (_one_hash_less, "log"),
        (_other_growth, "log"),
        (_other_size, "checkpoint"),
        (_nothing_signed, "checkpoint"),
        (_no_list, "checkpoint"),
        (_no_proof, "checkpoint"),
    ],
)
def test_a_proof_that_was_changed_proves_nothing(
    log: Log, tmp_path: Path, change: Callable[[Proof], None], part: str
) -> None:
    proof = prove(log, 6, 5)
    change(proof)
    with pytest.raises(TOOL.Wrong) as caught:
        checked(proof, log.vkey, tmp_path / "proof")
    assert caught.value.part == part


def test_another_key_proves_nothing(log: Log, tmp_path: Path) -> None:
    other = Signer(log.origin, b"\x07" * 32).vkey
    with pytest.raises(TOOL.Wrong, match="pinned key"):
        checked(prove(log, 6), other, tmp_path / "proof")


def test_a_checkpoint_that_the_auditor_holds_is_compared(log: Log, tmp_path: Path) -> None:
    key = TOOL.Key.parse(log.vkey)
    (tmp_path / "proof").write_text(json.dumps(prove(log, 6, 5)))
    same = TOOL.Checkpoint.parse(prove(log, 6, 5)["since"]["checkpoint"].encode(), key, "anchor")
    TOOL.check_proof(tmp_path / "proof", key, [same])
    with pytest.raises(TOOL.Wrong, match="two different logs of 5 entries") as caught:
        TOOL.check_proof(tmp_path / "proof", key, [TOOL.Checkpoint(5, bytes(32), "anchor")])
    assert (caught.value.kind, caught.value.part) == ("fork", "anchor")


@pytest.mark.parametrize("number", [-1, 13])
def test_an_entry_that_is_not_there(log: Log, number: int) -> None:
    with pytest.raises(Terminal, match="0 to 12"):
        prove(log, number)


def test_a_size_that_was_never_signed_names_its_neighbours(log: Log) -> None:
    with pytest.raises(Terminal, match="near it are 5, 8, 9, 13"):
        prove(log, 2, since=10)


def test_nothing_is_proved_about_a_log_that_was_changed(log: Log) -> None:
    path = log.folder / "log.jsonl"
    log.close()
    path.write_bytes(path.read_bytes().replace(b'"v6"', b'"v7"'))
    with pytest.raises(Tampered):
        prove(log, 6)
