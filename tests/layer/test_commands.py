"""The command line: what it offers, and what it says to wrong input."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kedge.settings import Settings

KEDGE = str(Path(sys.executable).parent / "kedge")
GOLDEN = Path(__file__).parent / "help.txt"
COMMANDS = (
    *("", "check", "run", "status", "verify", "predictions", "demo", "up"),
    *("keys", "keys list", "keys rotate", "keys relock", "keys destroy"),
    *("audit", "audit verify", "audit prove", "audit show", "audit key", "audit anchor", "audit unusual"),
)


def _help() -> str:
    """The help of every command, as a terminal of 100 columns without colours shows it."""
    plain = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    pages = []
    for command in COMMANDS:
        words = [KEDGE, *command.split(), "--help"]
        shown = subprocess.run(words, env=plain, capture_output=True, text=True, check=True).stdout
        pages.append("\n".join(line.rstrip() for line in shown.splitlines()))
    return "\n".join(pages) + "\n"


def test_commands_and_options_are_those_committed() -> None:
    """A change is a visible change of a committed file: `python tests/layer/test_commands.py` writes it."""
    assert _help() == GOLDEN.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nobody", "--partition", "2026-01-01"], "nobody"),
        (["run", "bank", "--partition", "20260131"], "2026-01-31"),
        (["run", "bank", "--partition", "2025-12-31"], "partitions.start"),
        (["run", "bank", "--partition", "2026-01-02", "--until", "2026-01-01"], "--until"),
        (["run", "bank", "--partition", "banana", "--job", "retrain"], "2026-01-31"),
        (["predictions", "bank", "--partition", "2026-01-01", "--out", "scores.csv"], "kedge run bank"),
        (["status", "../bank"], "bank"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(places: Settings, words: list[str], said: str) -> None:
    environment = os.environ | {"KEDGE_PIPELINES": str(places.pipelines), "COLUMNS": "300"}
    done = subprocess.run([KEDGE, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


if __name__ == "__main__":
    GOLDEN.write_text(_help())
