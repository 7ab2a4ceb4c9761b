"""What the whole tier amounts to, printed when it ends."""

from dataclasses import dataclass, field

import pytest


@dataclass
class Tally:
    """Over all assets: points at which a process was killed, how often that was, and how many reruns mended it all."""

    points: set[str] = field(default_factory=set)
    kills: int = 0
    survived: int = 0


_TALLY = pytest.StashKey[Tally]()


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    return request.config.stash.setdefault(_TALLY, Tally())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(_TALLY, None)
    if found is not None:
        terminalreporter.write_line(f"{len(found.points)} points, {found.kills} kills, {found.survived} survived")
