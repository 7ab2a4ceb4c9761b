"""Fault points: what they do, that all are listed, and that nothing writes without one."""

import ast
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kedge import faults
from kedge.registry.client import CALLS
from kedge.testing import faultpoints

ROOT = Path(__file__).parents[2]
WATCHED = (
    "kedge/audit",
    "kedge/drift",
    "kedge/durable.py",
    "kedge/evaluation",
    "kedge/keys",
    "kedge/lake",
    "kedge/privacy",
    "kedge/registry",
    "kedge/scoring",
    "kedge/source/inbox.py",
    "kedge/training",
    "kedge/workspace.py",
    "resources/torchrun.py",
)

WRITES = frozenset({
    "chmod", "hardlink_to", "link_to", "mkdir", "mkfifo", "rename", "replace", "rmdir", "rmtree", "symlink_to", "touch",
    "unlink", "truncate", "write", "write_bytes", "write_csv", "write_ipc", "write_parquet", "write_text",
    "sink_csv", "sink_ipc", "sink_parquet", "copy", "copyfile", "copytree", "move", "makedirs", "remove",
    "mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory", "dump", "save_file",
})  # fmt: skip
"""Names of methods and functions that change something on a disk."""
TALKS = frozenset({"connect", "create_engine", "execute", "executemany", "Popen", "fork", "posix_spawn"})
"""Names of those that talk to a database or start a process."""
MODULES = frozenset({"subprocess", "sqlite3"})
WRITE_MODES = frozenset("wax+")
OPENS = ("O_WRONLY", "O_RDWR", "O_CREAT")

ALLOWED = {
    ("kedge/audit/access.py", "look"): "a note: cut short it is made again, tests/kedge/audit/test_access.py",
    ("kedge/keys/unlock.py", "settle"): "one rename after keys.ring.after; left out, tests/kedge/keys/test_unlock.py",
    ("kedge/lake/parquet.py", "write"): "inside write_parquet, which Draft.write_frame alone calls, between its points",
    ("kedge/scoring/handout.py", "_remove_dead"): "between scoring.handout.before and .opened",
    ("kedge/scoring/handout.py", "_write"): "between scoring.handout.opened and .written",
    ("kedge/training/handover.py", "_give"): "bytes into a pipe: nothing of them stays",
    ("kedge/training/handover.py", "_open"): "opens a pipe that is there",
    ("kedge/training/room.py", "_linked"): "Room.take_in alone calls it, between its points",
    ("kedge/training/worker.py", "_vanish"): "its run is dead; what it leaves when it is killed too is swept",
    ("resources/torchrun.py", "_pass_on"): "a process's words into this one's output: nothing of them stays",
    ("resources/torchrun.py", "_session"): "between training.launch.before and training.start.after",
    ("resources/torchrun.py", "launch"): "between training.launch.before and training.start.after",
}
"""Functions without a point, each with its reason; a test notices one that is no longer needed."""


def unguarded(source: str) -> Iterator[tuple[str, int]]:
    """Function and line of every write, rename, database call or process start that no fault point stands beside.

    It is guarded in a function that reaches a point; by `point=`, which a helper that takes one has to reach; and on
    MLflow's client, which reaches two for each of `CALLS`.
    """
    tree = ast.parse(source)
    for function, body in _functions(tree):
        calls = [node for node in body if isinstance(node, ast.Call)]
        if any(_dotted(call.func) == "faults.reach" for call in calls):
            continue
        yield from ((function, call.lineno) for call in calls if _risky(call) and not _handed_on(call))


def _functions(tree: ast.Module) -> Iterator[tuple[str, list[ast.AST]]]:
    """Each function, and the module, with what stands in it and in no function inside it."""
    waiting: list[tuple[str, ast.AST]] = [("the module", tree)]
    while waiting:
        name, owner = waiting.pop()
        body: list[ast.AST] = []
        inside = list(ast.iter_child_nodes(owner))
        while inside:
            node = inside.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                waiting.append((node.name, node))
                continue
            body.append(node)
            inside.extend(ast.iter_child_nodes(node))
        yield name, body


def _risky(call: ast.Call) -> bool:
    dotted = _dotted(call.func)
    name = dotted.rpartition(".")[2]
    if dotted == "os.open":
        return any(flag in ast.dump(call) for flag in OPENS)
    if name in ("open", "fdopen"):
        return any(isinstance(a, ast.Constant) and set(str(a.value)) & WRITE_MODES for a in _modes(call, dotted))
    if dotted.split(".")[0] in MODULES or name in TALKS:
        return True
    if name == "replace":
        return "." in dotted and len(call.args) == 1  # a path's; that of a text has two, that of a dataclass no dot
    if "client" in dotted.split(".")[:-1]:
        return name not in CALLS
    return "." in dotted and name in WRITES and not dotted.startswith(("draft.write_", "file.write", "sys.std"))


def _modes(call: ast.Call, dotted: str) -> list[ast.expr]:
    """Where the mode stands: second for the built-in `open` and `os.fdopen`, first for a path's."""
    first = 1 if dotted in ("open", "os.fdopen") else 0
    return [*call.args[first : first + 1], *(k.value for k in call.keywords if k.arg == "mode")]


def _handed_on(call: ast.Call) -> bool:
    return any(keyword.arg == "point" for keyword in call.keywords)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _sources(*places: str) -> list[Path]:
    found = [
        path for place in places for path in ((ROOT / place).rglob("*.py") if "." not in place else [ROOT / place])
    ]
    return sorted(found)


def test_nothing_writes_without_a_fault_point() -> None:
    found = set()
    for path in _sources(*WATCHED):
        place = str(path.relative_to(ROOT))
        found |= {(place, function) for function, _ in unguarded(path.read_text(encoding="utf-8"))}
    assert found == set(ALLOWED)


@pytest.mark.parametrize(
    "line",
    [
        "path.write_bytes(b'')",
        "path.rename(other)",
        "path.replace(other)",
        "path.unlink(missing_ok=True)",
        "shutil.rmtree(path)",
        "open(path, 'w')",
        "path.open(mode='ab')",
        "os.open(path, os.O_RDWR | os.O_CREAT)",
        "sqlite3.connect(path)",
        "subprocess.run(command)",
        "self.tracking.client.delete_run(run)",
        "frame.sink_parquet(path)",
        "durable.write(path, b'')",
        "durable.replace(path)",
    ],
)
def test_a_write_that_is_added_without_a_point_is_found(line: str) -> None:
    bare = f"def store(path):\n    {line}\n"
    guarded = f"def store(path):\n    faults.reach('lake.store.before')\n    {line}\n"
    nested = f"def store(path):\n    faults.reach('lake.store.before')\n    def inner():\n        {line}\n"
    assert list(unguarded(bare)) == [("store", 2)]
    assert list(unguarded(guarded)) == []
    assert list(unguarded(nested)) == [("inner", 4)]


@pytest.mark.parametrize(
    "line",
    [
        "text.replace('a', 'b')",
        "replace(decision, number=1)",
        "path.open('rb')",
        "os.open(path, os.O_RDONLY)",
        "self.client.create_run(experiment)",
        "durable.write(path, b'', point='lake.keys')",
        "durable.replace(path, b'', point='lake.swap')",
    ],
)
def test_what_writes_nothing_or_hands_its_point_on_is_not(line: str) -> None:
    assert list(unguarded(f"def look(path):\n    {line}\n")) == []


def test_every_owner_of_points_is_listed_and_every_point_is_registered() -> None:
    owners, reached = set(), set()
    for path in _sources("kedge"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        if any(_dotted(call.func) == "faults.register" for call in calls):
            owners.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
        texts = [call.args[0] for call in calls if _dotted(call.func) == "faults.reach"]
        reached |= {str(text.value) for text in texts if isinstance(text, ast.Constant)}
    assert owners == set(faultpoints.OWNERS)
    assert len(faultpoints.points()) >= 40
    assert reached <= faultpoints.points()


def _ended(point: str, fault: str, passes: int = 1) -> int:
    """Exit code of a child that passes the point so many times."""
    child = os.fork()
    if child == 0:
        os.environ[faults.VARIABLE] = fault
        for _ in range(passes):
            faults.reach(point)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_kill_strikes_at_the_point_that_was_named_and_at_the_turn_that_was_named() -> None:
    assert _ended("a.before", "a.before:kill") == -signal.SIGKILL
    assert _ended("a.before", "b.before:kill") == 0
    assert _ended("a.before", "a.before:kill@3", passes=2) == 0
    assert _ended("a.before", "a.before:kill@3", passes=3) == -signal.SIGKILL


@pytest.mark.parametrize(("kind", "code"), [("error", errno.EIO), ("full", errno.ENOSPC)])
def test_an_error_is_that_of_a_disk(monkeypatch: pytest.MonkeyPatch, kind: str, code: int) -> None:
    monkeypatch.setenv(faults.VARIABLE, f"a.before:{kind}")
    with pytest.raises(OSError) as raised:
        faults.reach("a.before")
    assert raised.value.errno == code


def test_a_trace_holds_every_point_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(faults.VARIABLE, f"trace:{tmp_path / 'passed'}")
    for point in ("a.before", "a.after", "a.before"):
        faults.reach(point)
    assert (tmp_path / "passed").read_text().split() == ["a.before", "a.after", "a.before"]


@pytest.mark.parametrize("what", ["explode", "", "kill@soon"])
def test_an_unknown_kind_is_an_error(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv(faults.VARIABLE, f"a.before:{what}")
    with pytest.raises(ValueError, match="needs one of kill, error, full"):
        faults.reach("a.before")
