"""The single file on its own: without kedge, on published vectors, its exit codes, its memory."""

import importlib.util
import itertools
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from kedge.audit import tree
from kedge.audit.checkpoint import Checkpoint, note
from kedge.audit.entry import encode
from kedge.audit.signer import Signer

FILE = Path(__file__).parents[2] / "tools/verify.py"
NAME = "kedge/lake/bank"
SIGNER = Signer(NAME, b"\x05" * 32)

_spec = importlib.util.spec_from_file_location("single_file_verifier", FILE)
assert _spec is not None
assert _spec.loader is not None
TOOL = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(TOOL)


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """In a process whose path holds nothing of this repository."""
    command = [sys.executable, "-I", FILE, *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of 3 entries and its checkpoint."""
    lines = [encode({"action": "read", "n": number}) for number in range(3)]
    _write(tmp_path / "bank", lines, len(lines))
    return tmp_path / "bank"


def _write(folder: Path, lines: list[bytes], signed: int) -> None:
    folder.mkdir()
    (folder / "log.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    stored = tree.Tree(folder / "tree")
    stored.append(map(tree.leaf_hash, lines))
    stored.flush()
    checkpoint = Checkpoint(NAME, signed, stored.root(signed))
    stored.close()
    signature = SIGNER.sign(checkpoint.text().encode())
    (folder / "checkpoints").write_text(note(checkpoint, SIGNER.vkey, signature) + "\n")


def test_it_reproduces_the_published_vectors(tmp_path: Path) -> None:
    done = run("--self-test", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "self-test: every published vector is reproduced\n"


@pytest.mark.parametrize("name", ["node_hash", "leaf_hash", "included", "consistent"])
def test_the_self_test_notices_a_broken_part(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    broken = {
        "node_hash": lambda left, right: tree.node_hash(right, left),
        "leaf_hash": lambda line: tree.leaf_hash(line + b"\n"),
        "included": lambda *_: True,
        "consistent": lambda *_: True,
    }
    monkeypatch.setattr(TOOL, name, broken[name])
    assert not TOOL.self_test()


def test_it_imports_nothing_but_the_standard_library_and_cryptography(tmp_path: Path) -> None:
    code = f"import runpy, sys; sys.argv = ['verify.py', '--help']; runpy.run_path({str(FILE)!r})"
    code += "; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    shown = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    foreign = set(shown.stdout.split()) - sys.stdlib_module_names - {"__main__", "sitecustomize"}
    assert {name for name in foreign if not name.startswith("_")} == {"cryptography"}


def test_exit_codes_are_those_of_its_help(folder: Path, tmp_path: Path) -> None:
    shown = run("--help", cwd=tmp_path).stdout
    told = {int(line.split()[0]) for line in shown.partition("exit codes:")[2].splitlines() if line.strip()}
    other = Signer(NAME, b"\x07" * 32).vkey
    seen = {
        run("log", folder, "--key", SIGNER.vkey, cwd=tmp_path).returncode: "fits",
        run("log", folder, "--key", other, cwd=tmp_path).returncode: "another key",
        run("log", folder, "--key", "key", cwd=tmp_path).returncode: "no key",
    }
    foreign = Checkpoint(NAME, 2, bytes(32))
    (tmp_path / "kept").write_text(note(foreign, SIGNER.vkey, SIGNER.sign(foreign.text().encode())))
    words = ("log", folder, "--key", SIGNER.vkey)
    seen[run(*words, "--anchor", tmp_path / "kept", cwd=tmp_path).returncode] = "fork"
    (folder / "log.jsonl").write_bytes((folder / "log.jsonl").read_bytes().replace(b"read", b"none"))
    seen[run(*words, cwd=tmp_path).returncode] = "edit"
    assert seen == {0: "fits", 25: "another key", 2: "no key", 31: "fork", 24: "edit"}
    assert told == {*seen, 1}


@pytest.mark.parametrize(
    "words",
    [(), ("log",), ("log", "nowhere"), ("log", "nowhere", "--key", SIGNER.vkey), ("proof", "no", "--key", SIGNER.vkey)],
)
def test_wrong_usage_is_told_without_a_traceback(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_proofs_of_every_small_tree_are_understood(tmp_path: Path) -> None:
    leaves = [tree.leaf_hash(bytes([number])) for number in range(20)]
    stored = tree.Tree(tmp_path / "tree")
    stored.append(leaves)
    for new in range(1, 21):
        root = stored.root(new)
        assert all(
            TOOL.included(leaves[number], number, new, stored.inclusion(number, new), root) for number in range(new)
        )
        for old in range(1, new + 1):
            proof = stored.consistency(old, new)
            assert TOOL.consistent(old, new, proof, stored.root(old), root)
            assert not TOOL.consistent(old, new, [*proof, bytes(32)], stored.root(old), root)
            assert not TOOL.consistent(old, new, proof, bytes(32), root)
    stored.close()


@pytest.mark.parametrize(
    ("line", "held"),
    [
        (b'{"a":1,"b":[true,null,{"c":"\xc3\xa4"}]}', True),
        (b'{"a":"\\n\\u001f\\"\\\\/"}', True),
        (b"{}", True),
        (b'{"a":9007199254740991}', True),
        (b'{"a":9007199254740992}', False),
        (b'{"a":1.0}', False),
        (b'{"a":1e3}', False),
        (b'{"a":-0}', False),
        (b'{"a":NaN}', False),
        (b'{"a":"\\u00e4"}', False),
        (b'{"a":"\\/"}', False),
        (b'{"a":"\\ud800"}', False),
        (b'{"b":1,"a":1}', False),
        (b'{"a":1,"a":1}', False),
        (b'{"a":1} ', False),
        (b'{"a": 1}', False),
        (b'{"\xc3\xa4":1}', False),
        (b'{"a":{"\xc3\xa4":1}}', False),
        (b'{"a":"\xff"}', False),
        (b"[1]", False),
        (b"1", False),
        (b"", False),
        (b'{"a":' * 100_000, False),
    ],
)
def test_canonical_lines(line: bytes, held: bool) -> None:
    assert TOOL.canonical(line) == held


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    peaks = []
    for name, count in (("short", 500), ("long", 20_000)):
        _write(tmp_path / name, [encode({"n": number, "why": "x" * 100}) for number in range(count)], count)
        log = TOOL.Log(tmp_path / name, TOOL.Key.parse(SIGNER.vkey))
        tracemalloc.start()
        assert log.check().size == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert all(late < early + 100_000 for early, late in itertools.pairwise(peaks))
