"""What the tests of the examples share: a replay of a table by the command line, with figures that repeat."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge.settings import Settings
from kedge.spec import load
from kedge.testing.known import hold_out
from kedge.testing.replay import Replay

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Callable[[str], Replay]:
    """Begin a replay of the example of that name, in a folder of its own; nothing has run yet."""

    def replay(pipeline: str) -> Replay:
        folder = tmp_path_factory.mktemp(pipeline)
        (folder / "scores").mkdir()
        places = {
            "KEDGE_HOME": str(folder / "home"),
            "KEDGE_KEYS": str(folder / "keys"),
            "KEDGE_PIPELINES": str(ROOT / "examples"),
            "KEDGE_DATA": str(real_data),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KEDGE_", "DAGSTER_"))}
        hold_out(Settings.from_environment(places), pipeline)
        declaration = load(ROOT / "examples" / pipeline / "defs.yaml")
        return Replay(declaration, folder, real_data, {**inherited, **places})

    return replay
