"""What can be done to a log, and what is said about it: by kedge and by the verifier that knows nothing of kedge."""

import base64
import importlib.util
import pickle
import re
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from kedge.audit.checkpoint import Checkpoint, note, parse_signed
from kedge.audit.entry import encode
from kedge.audit.log import Log
from kedge.audit.signer import Signer
from kedge.audit.tree import Tree, leaf_hash
from kedge.audit.verify import LogTampered, verify
from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.workspace import Workspace

ROOT = Path(__file__).parents[3]
SIZES = (5, 9, 13, 17, 21)
"""Entries at each checkpoint: the signer's own, then four at a time."""

NAMED = re.compile(r"(?P<kind>\w+): entry (?P<entry>\d+)(, or a later one before (?P<end>\d+))?: ")

Found = tuple[str, int, int] | None
"""What was done, the first entry that may be bad, and the one after the last; None: everything fits."""


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("single_file_verifier", ROOT / "tools/verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = _tool()


@dataclass
class Case:
    """A log that somebody may change.

    Attributes:
        folder: of the log.
        vkey: the key that was pinned.
        earlier: the same log when it had 9 entries.
        other: another continuation of `earlier`, signed by the same key.
        anchors: checkpoints kept elsewhere.
    """

    folder: Path
    vkey: str
    earlier: Path
    other: Path
    anchors: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[bytes]:
        return (self.folder / "log.jsonl").read_bytes().splitlines()

    def write(self, lines: Sequence[bytes], end: bytes = b"\n") -> None:
        (self.folder / "log.jsonl").write_bytes(b"\n".join(lines) + end)

    def rebuild_tree(self) -> None:
        """What an attacker does who knows that `tree` tells."""
        (self.folder / "tree").unlink()
        tree = Tree(self.folder / "tree")
        tree.append(leaf_hash(line) for line in self.lines)
        tree.flush()
        tree.close()

    def notes(self) -> list[str]:
        return (self.folder / "checkpoints").read_text().split("\n\n")

    def write_notes(self, parts: Sequence[str]) -> None:
        (self.folder / "checkpoints").write_text("\n\n".join(parts))


def by_kedge(case: Case) -> Found:
    anchors = [parse_signed(text, case.vkey) for text in case.anchors]
    try:
        verify(case.folder, case.vkey, anchors)
    except LogTampered as error:
        return error.kind, error.entry, error.end
    return None


def by_tool(case: Case, capsys: pytest.CaptureFixture[str]) -> Found:
    words = ["log", str(case.folder), "--key", case.vkey]
    for number, text in enumerate(case.anchors):
        (case.folder.parent / f"anchor{number}").write_text(text)
        words += ["--anchor" if number == 0 else "", str(case.folder.parent / f"anchor{number}")]
    code = TOOL.main([word for word in words if word])
    said = capsys.readouterr().out
    named = NAMED.match(said)
    assert (code == 0) == said.startswith("fits: ") == (named is None), said
    if named is None:
        return None
    assert code in (24, 25, 31)
    entry = int(named["entry"])
    return named["kind"], entry, int(named["end"] or entry + 1)


def _fill(log: Log, start: int, batches: int, who: str) -> None:
    for batch in range(start, start + batches):
        log.append(*({"action": "read", "version": f"v{batch}-{place}", "who": who} for place in range(4)))
        log.sign()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A log as kedge writes it, its state at 9 entries, and a second continuation of that."""
    place = tmp_path_factory.mktemp("logs")
    names = {name: str(place / name.lower()) for name in ("HOME", "KEYS", "DATA")}
    lake = Workspace.open(Settings.from_environment({f"KEDGE_{name}": path for name, path in names.items()})).lake
    lake.keys.announce, folder = None, place / "bank"
    for batches, who, copy in ((2, "both", "earlier"), (3, "other", "other"), (3, "true", "true")):
        log = Log.open(folder, pipeline="bank", lake_id=lake.id, keys=lake.keys)
        _fill(log, 0 if who == "both" else 2, batches, who)
        vkey = log.vkey
        log.close()
        shutil.copytree(folder, place / copy)
        if who == "other":
            shutil.rmtree(folder)
            shutil.copytree(place / "earlier", folder)
    return Case(place / "true", vkey, place / "earlier", place / "other")


@pytest.fixture
def case(made: Case, tmp_path: Path) -> Case:
    shutil.copytree(made.folder, tmp_path / "bank")
    return replace(made, folder=tmp_path / "bank", anchors=[])


def _without(case: Case, number: int) -> None:
    case.write([line for place, line in enumerate(case.lines) if place != number])


def _swapped(case: Case, one: int, two: int) -> None:
    lines = case.lines
    lines[one], lines[two] = lines[two], lines[one]
    case.write(lines)


def _edited(case: Case, *numbers: int) -> None:
    case.write([line.replace(b"read", b"none") if at in numbers else line for at, line in enumerate(case.lines)])


def _added(case: Case, number: int, line: bytes) -> None:
    lines = case.lines
    case.write([*lines[:number], line, *lines[number:]])


def _moved(case: Case, start: int, stop: int) -> None:
    lines = case.lines
    case.write([*lines[:start], *lines[start + 1 : stop], lines[start], *lines[stop:]])


FORGED = encode({"action": "read", "version": "v0", "who": "nobody"})

ENTRIES: dict[str, tuple[Callable[[Case], None], str, int]] = {
    "edit": (lambda case: _edited(case, 7), "edit", 7),
    "edit of two entries": (lambda case: _edited(case, 6, 15), "edit", 6),
    "edit of the last entry": (lambda case: _edited(case, 20), "edit", 20),
    "edit and a shorter log": (lambda case: (_edited(case, 6), case.write(case.lines[:-1])), "edit", 6),
    "delete": (lambda case: _without(case, 7), "delete", 7),
    "delete the first": (lambda case: _without(case, 0), "delete", 0),
    "delete several": (lambda case: case.write([*case.lines[:6], *case.lines[11:]]), "delete", 6),
    "delete and add at the end": (lambda case: (_without(case, 7), _added(case, 20, FORGED)), "delete", 7),
    "insert": (lambda case: _added(case, 7, FORGED), "insert", 7),
    "insert an earlier entry again": (lambda case: _added(case, 7, case.lines[2]), "insert", 7),
    "insert a later entry as well": (lambda case: _added(case, 7, case.lines[12]), "insert", 7),
    "insert and cut": (lambda case: (_added(case, 7, FORGED), case.write(case.lines[:-1])), "insert", 7),
    "reorder neighbours": (lambda case: _swapped(case, 7, 8), "reorder", 7),
    "reorder": (lambda case: _swapped(case, 3, 12), "reorder", 3),
    "reorder by moving one": (lambda case: _moved(case, 4, 16), "reorder", 4),
}
"""Entries changed below the last checkpoint: what was done, how it is called, the first bad entry."""


@pytest.mark.parametrize("tree", ["intact", "rebuilt", "removed"])
@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_that_was_changed_is_named(
    case: Case, name: str, tree: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change, kind, first = ENTRIES[name]
    change(case)
    _do_to_tree(case, tree)
    found = by_kedge(case)
    assert found == by_tool(case, capsys)
    if tree == "intact":
        assert found == (kind, first, first + 1)
    else:
        fits = max((size for size in SIZES if size <= first), default=0)
        assert found is not None
        assert found[1] == fits
        assert found[1] <= first < found[2]
        shorter = len(case.lines) < SIZES[-1] and fits == SIZES[-2]
        assert found[0] == ("truncation" if shorter else "altered")


def _do_to_tree(case: Case, how: str) -> None:
    if how == "rebuilt":
        case.rebuild_tree()
    elif how == "removed":
        (case.folder / "tree").unlink()


def _use(folder: Path, case: Case) -> None:
    shutil.rmtree(case.folder)
    shutil.copytree(folder, case.folder)


def _anchor(case: Case, size: int, folder: Path | None = None) -> None:
    """Keep the checkpoint of this size elsewhere."""
    parts = ((folder or case.folder) / "checkpoints").read_text().split("\n\n")
    kept = {text.split("\n")[1]: f"{text}\n\n{signed}\n" for text, signed in zip(parts[::2], parts[1::2], strict=False)}
    case.anchors.append(kept[str(size)])


def _rollback(case: Case) -> None:
    _anchor(case, 9)
    _anchor(case, 17)
    _use(case.earlier, case)


def _replaced(case: Case) -> None:
    _anchor(case, 9)
    _anchor(case, 17)
    _use(case.other, case)


def _regrown(case: Case) -> None:
    """An old copy was put back and went on, but is not as long yet as what it replaced."""
    _anchor(case, 5)
    _anchor(case, 21)
    _use(case.other, case)
    case.write(case.lines[:17])
    case.rebuild_tree()
    case.write_notes([*case.notes()[:8], ""])


def _forged_signature(case: Case) -> None:
    parts = case.notes()
    head, _, encoded = parts[5].rpartition(" ")
    signature = bytearray(base64.b64decode(encoded))
    signature[20] ^= 1
    case.write_notes([*parts[:5], f"{head} {base64.b64encode(signature).decode()}", *parts[6:]])


def _forged_root(case: Case) -> None:
    parts = case.notes()
    first, size, root = parts[4].split("\n")
    case.write_notes([*parts[:4], f"{first}\n{size}\n{'A' * 8}{root[8:]}", *parts[5:]])


def _other_key(case: Case) -> None:
    """The attacker signs a log of his own making under the log's name."""
    name = case.vkey.partition("+")[0]
    signer = Signer(name, b"\x07" * 32)
    case.write([FORGED] * 3)
    case.rebuild_tree()
    tree = Tree(case.folder / "tree")
    checkpoint = Checkpoint(name, 3, tree.root())
    tree.close()
    signed = note(checkpoint, signer.vkey, signer.sign(checkpoint.text().encode()))
    (case.folder / "checkpoints").write_text(signed + "\n")


def _pinned_other(case: Case) -> None:
    case.vkey = Signer(case.vkey.partition("+")[0], b"\x07" * 32).vkey


WHOLE: dict[str, tuple[Callable[[Case], None], tuple[str, int, int], tuple[str, int, int] | None]] = {
    "truncation": (lambda case: case.write(case.lines[:19]), ("truncation", 19, 20), ("truncation", 17, 20)),
    "truncation at a checkpoint": (lambda case: case.write(case.lines[:13]), ("truncation", 13, 14), None),
    "truncation within a line": (
        lambda case: case.write([*case.lines[:19], case.lines[19][:9]], end=b""),
        ("truncation", 19, 20),
        ("truncation", 17, 20),
    ),
    "an empty log": (lambda case: (case.folder / "log.jsonl").write_bytes(b""), ("truncation", 0, 1), None),
    "one line feed for a log": (lambda case: (case.folder / "log.jsonl").write_bytes(b"\n"), ("line", 0, 1), None),
    "rollback": (_rollback, ("rollback", 9, 10), None),
    "rollback that went on": (_regrown, ("rollback", 5, 18), None),
    "fork": (_replaced, ("fork", 9, 17), None),
    "signature of a checkpoint": (_forged_signature, ("checkpoint", 9, 10), None),
    "root of a checkpoint": (_forged_root, ("checkpoint", 9, 10), None),
    "checkpoints in another order": (
        lambda case: case.write_notes([*case.notes()[2:4], *case.notes()[:2], *case.notes()[4:]]),
        ("checkpoint", 9, 10),
        None,
    ),
    "garbage among the checkpoints": (
        lambda case: (case.folder / "checkpoints").write_bytes(bytes(range(256)) * 3),
        ("checkpoint", 0, 1),
        None,
    ),
    "checkpoints of another key": (_other_key, ("checkpoint", 0, 1), None),
    "another key was pinned": (_pinned_other, ("checkpoint", 0, 1), None),
    "no checkpoints": (lambda case: (case.folder / "checkpoints").unlink(), ("checkpoint", 0, 1), None),
    "a space in a line": (
        lambda case: case.write([line.replace(b",", b", ") if at == 7 else line for at, line in enumerate(case.lines)]),
        ("line", 7, 8),
        None,
    ),
    "a line that is no JSON": (
        lambda case: case.write([b"" if at == 7 else line for at, line in enumerate(case.lines)]),
        ("line", 7, 8),
        None,
    ),
}
"""Whole files changed: what is said, and what is said without a good `tree` where that is another thing."""


@pytest.mark.parametrize("tree", ["intact", "rebuilt", "removed"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_file_that_was_changed_is_named(case: Case, name: str, tree: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, exact, without = WHOLE[name]
    change(case)
    _do_to_tree(case, tree)
    found = by_kedge(case)
    assert found == by_tool(case, capsys)
    assert found == (exact if tree == "intact" or without is None else without)


def _leave(case: Case) -> None:
    """Nothing happened."""


def _unfinished_line(case: Case) -> None:
    (case.folder / "log.jsonl").write_bytes((case.folder / "log.jsonl").read_bytes() + b'{"action":"re')


def _unfinished_checkpoint(case: Case) -> None:
    (case.folder / "checkpoints").write_bytes((case.folder / "checkpoints").read_bytes()[:-30])


SOUND: dict[str, tuple[Callable[[Case], None], int, int]] = {
    "untouched": (_leave, 21, 21),
    "not signed yet": (lambda case: _added(case, 21, FORGED), 22, 21),
    "a line that a killed writer left": (_unfinished_line, 21, 21),
    "a checkpoint that a killed signer left": (_unfinished_checkpoint, 21, 17),
    "tree gone": (lambda case: (case.folder / "tree").unlink(), 21, 21),
    "tree of nonsense": (lambda case: (case.folder / "tree").write_bytes(b"\x01" * 999), 21, 21),
    "older copy, and no anchor to tell": (lambda case: _use(case.earlier, case), 9, 9),
}
"""What is no tampering, or cannot be told from the log alone: entries, and how many of them are signed."""


@pytest.mark.parametrize("name", SOUND)
def test_a_log_that_fits_is_measured(case: Case, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    change, size, signed = SOUND[name]
    change(case)
    found = verify(case.folder, case.vkey)
    assert (found.size, found.signed_size, found.unsigned_tail, found.anchored_size) == (size, signed, size - signed, 0)
    tree = Tree(case.folder.parent / "other tree")
    tree.append(leaf_hash(line) for line in case.lines[:size])
    assert found.root == tree.root()
    tree.close()
    assert by_tool(case, capsys) is None


def test_an_anchor_that_agrees_is_counted(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    for size in (13, 5):
        _anchor(case, size)
    found = verify(case.folder, case.vkey, [parse_signed(text, case.vkey) for text in case.anchors])
    assert (found.signed_size, found.anchored_size) == (21, 13)
    assert by_tool(case, capsys) is None


def test_a_log_that_is_not_there_is_no_tampering(case: Case) -> None:
    with pytest.raises(Terminal, match="nobody: needs a log"):
        verify(case.folder.with_name("nobody"), case.vkey)


def test_a_log_that_is_gone_is_a_rollback_where_an_anchor_knows_it(case: Case) -> None:
    _anchor(case, 13)
    shutil.rmtree(case.folder)
    assert by_kedge(case) == ("rollback", 0, 1)


def test_an_error_travels_between_processes(case: Case) -> None:
    _without(case, 7)
    with pytest.raises(LogTampered) as caught:
        verify(case.folder, case.vkey)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.kind, again.entry, again.end, again.part) == ("delete", 7, 8, "log")
    assert str(again) == str(caught.value)
    assert "entry 7, delete" in str(again)


NAME = "kedge/lake/bank"
SIGNER = Signer(NAME, b"\x05" * 32)


def _signed(size: int, root: bytes) -> str:
    checkpoint = Checkpoint(NAME, size, root)
    return note(checkpoint, SIGNER.vkey, SIGNER.sign(checkpoint.text().encode()))


def _root(place: Path, lines: Sequence[bytes]) -> bytes:
    place.unlink(missing_ok=True)
    tree = Tree(place)
    tree.append(map(leaf_hash, lines))
    tree.flush()
    root = tree.root()
    tree.close()
    return root


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[bytes], list[bytes], list[int], list[tuple[int, bool]], str]:
    """A log, what became of it, its checkpoints, anchors (size, and whether of another history), and its tree."""
    count = draw(st.integers(1, 10))
    before = [encode({"n": draw(st.integers(0, 6))}) for _ in range(count)]  # equal entries are possible
    after = list(before)
    for _ in range(draw(st.integers(0, 3))):
        at, other = draw(st.integers(0, len(after))), draw(st.integers(0, len(after)))
        how = draw(st.sampled_from(["delete", "insert", "repeat", "swap", "cut", "garble"]))
        if how == "insert":
            after.insert(at, encode({"n": draw(st.integers(0, 9))}))
        elif how == "cut":
            del after[at:]
        elif at < len(after) and how == "delete":
            del after[at]
        elif at < len(after) and how == "garble":
            after[at] += b" "
        elif max(at, other) < len(after) and how == "repeat":
            after.insert(at, after[other])
        elif max(at, other) < len(after) and how == "swap":
            after[at], after[other] = after[other], after[at]
    sizes = sorted(draw(st.sets(st.integers(1, count), min_size=1)))
    anchors = draw(st.lists(st.tuples(st.integers(1, count), st.booleans()), max_size=3))
    return before, after, sizes, anchors, draw(st.sampled_from(["intact", "rebuilt", "removed"]))


@given(histories())
@examples(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_verifiers_say_the_same_about_any_history(
    tmp_path: Path, history: tuple[list[bytes], list[bytes], list[int], list[tuple[int, bool]], str]
) -> None:
    before, after, sizes, anchors, tree = history
    (tmp_path / "log.jsonl").write_bytes(b"".join(line + b"\n" for line in after))
    own = [_signed(size, _root(tmp_path / "tree", before[:size])) for size in sizes]
    (tmp_path / "checkpoints").write_text("".join(f"{text}\n" for text in own))
    kept = [
        _signed(size, b"\x09" * 32 if foreign else _root(tmp_path / "tree", before[:size])) for size, foreign in anchors
    ]
    _root(tmp_path / "tree", before if tree == "intact" else after)
    if tree == "removed":
        (tmp_path / "tree").unlink()

    case = Case(tmp_path, SIGNER.vkey, tmp_path, tmp_path, anchors=kept)
    key = TOOL.Key.parse(SIGNER.vkey)
    said: Found = None
    try:
        TOOL.Log(tmp_path, key, [TOOL.Checkpoint.parse(text.encode(), key, "anchor") for text in kept]).check()
    except TOOL.Wrong as wrong:
        said = wrong.kind, wrong.entry, wrong.end or wrong.entry + 1
    assert by_kedge(case) == said
    covered = max([*sizes, *(size for size, _ in anchors)])
    sound = after[:covered] == before[:covered] and all(line in before or line[-1:] != b" " for line in after)
    foreign = any(foreign for _, foreign in anchors)
    assert (said is None) == (sound and not foreign)
    if said and said[0] != "line" and not foreign:
        first = next(at for at in range(len(before)) if after[at : at + 1] != before[at : at + 1])
        assert said[1] <= first < said[2]


def test_a_log_that_grows_meanwhile_is_no_finding(settings: Settings) -> None:
    lake = Workspace.open(settings).lake
    folder, done = settings.audit / "bank", threading.Event()
    log = Log.open(folder, pipeline="bank", lake_id=lake.id, keys=lake.keys)
    log.append({"action": "read"})
    log.sign()

    def write() -> None:
        while not done.is_set():
            log.append(*({"action": "read", "why": "x" * 50},) * 20)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        key = TOOL.Key.parse(log.vkey)
        sizes = [
            size for _ in range(15) for size in (verify(folder, log.vkey).size, TOOL.Log(folder, key).check().size)
        ]
    finally:
        done.set()
        writer.join()
    log.close()
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] <= verify(folder, log.vkey).signed_size
