import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge.errors import Terminal, Transient
from kedge.training import worker
from kedge.training.handover import serve
from kedge.training.order import OUT, PIPE
from kedge.training.report import ERROR, raise_left, result
from kedge.training.task import Task
from kedge.training.worker import main

ROOT = Path(__file__).parents[3]
OUT_FOLDER = "out"
EMPTY = Task(
    nights=(),
    features=(("x", "numeric"),),
    target="y",
    positive="true",
    subject=None,
    device="cpu",
    config={},
    key=bytes(32),
)


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], int]:
    """Runs the process's main function on a task and answers with its exit code."""

    def run(content: bytes) -> int:
        (tmp_path / OUT_FOLDER).mkdir()
        monkeypatch.setenv(PIPE, str(tmp_path / "order"))
        monkeypatch.setenv(OUT, str(tmp_path / OUT_FOLDER))
        with serve(tmp_path / "order", content):
            return main()

    return run


def test_needs_torch_numpy_and_pyarrow_only() -> None:
    """So that it runs on a GPU machine without the rest, and starts quickly."""
    code = "import sys, kedge.training.worker; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = found.stdout.split()
    assert not [name for name in modules if name.startswith(("kedge.keys", "kedge.lake", "kedge.spec", "kedge.audit"))]
    loaded = {name.partition(".")[0] for name in modules}
    assert {"torch", "numpy", "pyarrow"} <= loaded
    assert not loaded & {"polars", "pandas", "pydantic", "dagster", "mlflow", "sklearn", "scipy", "cryptography"}


def test_an_unexpected_error_is_told_without_its_message(
    start: Callable[[bytes], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def gather(task: Task) -> None:
        raise ValueError("Erika Mustermann")

    monkeypatch.setattr(worker, "gather", gather)
    assert start(EMPTY.to_bytes()) == 1
    with pytest.raises(Terminal, match=r"ValueError at test_worker.py:\d+, called from") as caught:
        raise_left(tmp_path / OUT_FOLDER)
    assert caught.value.setting == "the training process"
    told = "".join(capfd.readouterr()) + (tmp_path / OUT_FOLDER / ERROR).read_text()
    assert "ValueError" in told
    assert "Erika" not in told


def test_an_error_of_kedge_keeps_its_words(
    start: Callable[[bytes], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gather(task: Task) -> None:
        raise Transient("a disk", need="to be there", got="none", remedy="Wait.")

    monkeypatch.setattr(worker, "gather", gather)
    assert start(EMPTY.to_bytes()) == 1
    with pytest.raises(Transient, match=r"a disk: needs to be there; got none. Wait."):
        raise_left(tmp_path / OUT_FOLDER)


def test_several_processes_are_refused(
    start: Callable[[bytes], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert start(EMPTY.to_bytes()) == 1
    with pytest.raises(Terminal, match="not supported yet"):
        raise_left(tmp_path / OUT_FOLDER)


def test_no_result_is_an_error(tmp_path: Path) -> None:
    raise_left(tmp_path)
    with pytest.raises(Terminal, match=r"no result.json, although it ended without an error"):
        result(tmp_path, bytes(32))
