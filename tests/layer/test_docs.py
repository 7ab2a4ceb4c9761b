"""Pages that name tests or files of this repository name ones that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RELIABILITY = ROOT / "docs/reliability.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.*) ?\|$", re.MULTILINE)
FAULTS = 34


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_the_page_of_faults_names_exists() -> None:
    named = NAMED.findall(RELIABILITY.read_text())
    assert len(named) > FAULTS
    missing = [
        f"{file}::{name}" for file, name in named if not (ROOT / file).is_file() or name not in _functions(ROOT / file)
    ]
    assert missing == []


def test_every_fault_has_one_row_with_a_test_or_says_that_there_is_none() -> None:
    rows = ROW.findall(RELIABILITY.read_text())
    assert sorted(int(number) for number, *_ in rows) == list(range(1, FAULTS + 1))
    silent = [
        number for number, _, done, tried in rows if not NAMED.search(tried) and "**not yet**" not in done.lower()
    ]
    assert silent == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_links_of_the_documents_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
