"""What all tests share: places of their own, and the rule that a selected test is never skipped."""

import os
from pathlib import Path

import pytest

from kedge.offline import silence
from kedge.settings import Settings

# Tiers: a test that carries one of these marks runs only when `-m` names it.
TIERS = {
    "real": "make test-real",
    "demo": "make test-demo",
    "faults": "make test-faults",
    "gpu": "needs a CUDA device: pytest -m gpu",
    "cluster": "needs a Kubernetes cluster: pytest -m cluster",
}

silence()

KEPT = {"KEDGE_REAL_DATA"}  # where the real tables are: read, never written


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to another tier; `make test` lists it."""
    if config.option.markexpr:
        return
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in TIERS)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("skipped", []):
        terminalreporter.write_line(f"SKIPPED, which counts as a failure: {report.nodeid}", red=True)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = 1


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the public tables (`make test-real` looks whether it is there)."""
    folder = os.environ.get("KEDGE_REAL_DATA") or Path(__file__).parent.parent.parent / "shared" / "data"
    return Path(folder).resolve(strict=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Places below this test's own folder."""
    return Settings.from_environment(
        {
            "KEDGE_HOME": str(tmp_path / "home"),
            "KEDGE_KEYS": str(tmp_path / "keys"),
            "KEDGE_DATA": str(tmp_path / "data"),
            "KEDGE_PIPELINES": str(Path(__file__).parent.parent / "pipelines"),
        }
    )


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the developer's own `.kedge` or key ring."""
    for name in [name for name in os.environ if name.startswith(("KEDGE_", "DAGSTER_HOME")) and name not in KEPT]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KEDGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KEDGE_KEYS", str(tmp_path / "keys"))
