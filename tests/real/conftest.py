"""What the tests of the examples share: a replay of a table by the command line, with figures that repeat."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kedge.keys import new_key
from kedge.lake import Secrets, secret
from kedge.settings import Settings
from kedge.spec import load
from kedge.testing.replay import Replay
from kedge.workspace import Workspace

ROOT = Path(__file__).parents[2]
TOKEN, HOLDOUT = bytes(range(32, 64)), bytes(range(32))
"""Decide who is held out: people by their token. Fixed, so that the figures are the same every time; see
`champion.margin` of the bank."""


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
        _hold_out(Settings.from_environment(places), pipeline)
        declaration = load(ROOT / "examples" / pipeline / "defs.yaml")
        return Replay(declaration, folder, real_data, {**inherited, **places})

    return replay


def _hold_out(settings: Settings, pipeline: str) -> None:
    """A lake whose secrets are made already: those of tokens and hold-out known, the others random as ever."""
    made: Iterator[Callable[[], bytes]] = iter([lambda: TOKEN, lambda: HOLDOUT, new_key, new_key])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secret, "new_key", lambda: next(made)())
        found = Workspace.open(settings).secrets(pipeline)
    assert found.holdout == HOLDOUT
    assert found.token("a") == Secrets({"token": TOKEN}).token("a")
