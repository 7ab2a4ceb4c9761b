import copy
import pickle
import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from commands import app as commands
from kedge.errors import Conflict, KedgeError, Part, Tampered, Terminal
from kedge.exitcode import CODES, OTHER, exit_code
from kedge.keys import WrongKey

TOLD = {"need": "this", "got": "that", "remedy": "Do it."}
RELIABILITY = Path(__file__).parent.parent.parent / "docs" / "reliability.md"


def test_each_part_has_a_code_of_its_own() -> None:
    assert set(CODES) == set(get_args(Part))
    assert len(set(CODES.values()) | {0, 1, OTHER}) == len(CODES) + 3


def test_a_code_says_what_the_bytes_are_part_of() -> None:
    assert [exit_code(Tampered("it", part=part, **TOLD)) for part in CODES] == list(CODES.values())
    assert exit_code(WrongKey("it", part="key", **TOLD)) == 32
    assert {exit_code(error("it", **TOLD)) for error in (Terminal, Conflict, KedgeError)} == {2}


@pytest.mark.parametrize("travelled", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_the_part_travels_between_processes(travelled: object) -> None:
    assert callable(travelled)
    found = travelled(WrongKey("it", part="secrets", **TOLD))
    assert (type(found), found.part, found.need, str(found)) == (
        WrongKey,
        "secrets",
        "this",
        "it: needs this; got that. Do it.",
    )


def test_the_command_leaves_with_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise Tampered("open/bank/predictions/current.json", part="pointer", **TOLD)

    monkeypatch.setattr(commands, "app", fail)
    monkeypatch.setattr(sys, "argv", ["kedge"])
    with pytest.raises(SystemExit) as left:
        commands.main()
    assert left.value.code == 23
    assert "Tampered" in capsys.readouterr().err


def test_the_page_for_operators_names_each() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", RELIABILITY.read_text(), re.MULTILINE)
    assert {name: int(code) for name, code in rows if name != "other"} == dict(CODES)
