"""`kedge up`: Dagster's web UI and daemon and MLflow, on localhost, until interrupted."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from commands.places import demo_environment, project_root
from kedge.errors import Terminal
from kedge.leases import hold, look
from kedge.settings import Settings
from kedge.spec import load_all
from resources import lifetime
from resources.instance import instance, prepare
from resources.launcher import WarmRunLauncher
from resources.reaper import reap

HOST = "127.0.0.1"
START_SECONDS = 90
DAEMON = "daemon"
"""Name of the lease that whoever runs a daemon holds."""


def up(port: int, mlflow_port: int, reports_port: int, console: Console, *, demo: bool = False) -> int:
    """Start the services, print their addresses, wait; end all of them when one ends or on Ctrl-C."""
    if demo:
        os.environ.update(demo_environment())
    os.environ["KEDGE_MLFLOW_PAGE"] = f"http://{HOST}:{mlflow_port}"  # where links in Dagster lead
    os.environ["KEDGE_REPORTS_PAGE"] = f"http://{HOST}:{reports_port}"
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # seven processes that nothing here asks for
    settings = Settings.from_environment()
    folder = prepare(settings)
    settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    settings.reports.mkdir(parents=True, exist_ok=True)
    ports = {"--port": port, "--mlflow-port": mlflow_port, "--reports-port": reports_port}
    with only_daemon(settings):
        for option, wanted in ports.items():
            _require_free(wanted, option)
        _repair_aliases(settings)
        _end_dead_runs(settings, console)
        return _serve(settings, folder, list(ports.values()), console)


@contextmanager
def only_daemon(settings: Settings) -> Iterator[None]:
    """Be the one who runs a daemon for this `KEDGE_HOME`: two that look at the same moment ask for two runs.

    Raises:
        Terminal: another process of this machine does.
    """
    if look(settings.leases, DAEMON).state == "held":
        raise Terminal(
            "KEDGE_HOME",
            need="at most one daemon, since each would start every night",
            got="a kedge up or kedge demo that is running there",
            remedy="Use that one, or end it.",
        )
    with hold(settings.leases, DAEMON):
        yield


def _serve(settings: Settings, folder: Path, ports: Sequence[int], console: Console) -> int:
    port, mlflow_port, reports_port = ports
    commands = {
        "webserver": webserver(port),
        "daemon": daemon(),
        "mlflow": mlflow(settings, mlflow_port),
        "reports": reports(settings, reports_port),
    }
    running = [start(command, folder / f"{name}.log") for name, command in commands.items()]
    for name in (signal.SIGINT, signal.SIGTERM):  # a shell may have told a background process to ignore Ctrl-C
        signal.signal(name, signal.default_int_handler)
    try:
        for wanted in ports:
            _wait_for(wanted, running)
        for what, wanted in zip(("Dagster", "MLflow", "Reports"), ports, strict=True):
            console.print(f"{what:8} http://{HOST}:{wanted}", highlight=False)
        console.print(f"State in {settings.home}, logs in {folder}; Ctrl-C ends everything", highlight=False)
        while all(process.poll() is None for process in running):
            time.sleep(0.5)
        console.print(f"[red]a service ended by itself; see the logs in {folder}[/]")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        stop(running)
        _stop_runs(settings)


def _stop_runs(settings: Settings) -> None:
    """End the run host and what it executes: nothing goes on unseen after Ctrl-C."""
    with instance(settings) as dagster:
        if isinstance(dagster.run_launcher, WarmRunLauncher):
            dagster.run_launcher.stop()


def _end_dead_runs(settings: Settings, console: Console) -> None:
    """Say of runs that a crash left behind that they have failed, before anything waits for them."""
    with instance(settings) as dagster:
        for died in reap(dagster, settings, sorted(load_all(settings.pipelines)))[0]:
            console.print(f"Found dead: {died}", markup=False, highlight=False)


def _repair_aliases(settings: Settings) -> None:
    """Make MLflow's aliases say what the registry says, should the last process have been killed in between."""
    from kedge.registry.store import Registry
    from kedge.registry.tracking import Tracking
    from kedge.workspace import Workspace

    tracking = Tracking.open(settings)
    for pipeline in sorted(load_all(settings.pipelines)):
        if (settings.registry / pipeline).is_dir():
            tracking.mirror(pipeline, Registry.open(Workspace.open(settings), pipeline))


def webserver(port: int) -> list[str]:
    return [*_script("dagster-webserver"), "-h", HOST, "-p", str(port), "-w", str(project_root() / "workspace.yaml")]


def daemon() -> list[str]:
    return [*_script("dagster-daemon"), "run", "-w", str(project_root() / "workspace.yaml")]


def mlflow(settings: Settings, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    return [*command, "--backend-store-uri", settings.mlflow_uri]


def reports(settings: Settings, port: int) -> list[str]:
    """Evidence for people, on this machine only; it stands for at least 11 people (docs/adr/0006)."""
    return [sys.executable, "-m", "http.server", str(port), "--bind", HOST, "--directory", str(settings.reports)]


def start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a service in the project's folder, its output appended to `log`; it does not outlive this process."""
    with log.open("ab") as stream:
        return subprocess.Popen(  # noqa: S603 - commands built above
            lifetime.command(*command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=project_root(),
            start_new_session=True,
        )


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End services: politely, then for good."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _script(name: str) -> list[str]:
    return [sys.executable, str(Path(sys.executable).parent / name)]


def _require_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise Terminal(
                option,
                need=f"a free port on {HOST}",
                got=f"port {port}, which another process uses",
                remedy=f"End that process, or choose another: kedge up {option} {port + 1}.",
            ) from None


def _wait_for(port: int, running: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and all(process.poll() is None for process in running):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.2)
