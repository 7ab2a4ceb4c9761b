"""docs/declaration.md names every key and its example is in order."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kedge.spec import load

TEXT = (Path(__file__).parents[3] / "docs" / "declaration.md").read_text()
SCHEMA = json.loads(Path(__file__).with_name("schema.json").read_text())


def _keys(schema: dict[str, Any]) -> Iterator[str]:
    yield from schema.get("properties", {})
    for definition in schema.get("$defs", {}).values():
        yield from definition.get("properties", {})


@pytest.mark.parametrize("key", sorted(set(_keys(SCHEMA))))
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"`(?:[a-z_]+\.)?{key}(?:`|:)|, `{key}`|`{{{key}: ", TEXT)


def test_the_example_is_in_order(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(type: .*?)```", TEXT, flags=re.DOTALL)
    path = tmp_path / "bank" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(example)
    assert load(path).target == "left"
