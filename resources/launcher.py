"""A run launcher that forks runs from a process with the heavy libraries already loaded.

Importing Great Expectations, Evidently, MLflow and torch takes 7 to 12 seconds; a nightly run computes for 3. Dagster's
default launcher pays the imports for every run. Here `resources.runhost` imports them once and forks (docs/adr/0002).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster._core.launcher.base import (
    CheckRunHealthResult,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
)
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from resources.sqlite import hasten
from resources.wire import GONE, ask

START_TIMEOUT_SECONDS = 120
PROJECT = Path(__file__).resolve().parent.parent


class WarmRunLauncher(RunLauncher, ConfigurableClass):
    """Hands runs to the run host of this Dagster instance, starting it when it is not there.

    Args:
        max_concurrent_runs: how many runs the host executes at a time; the others wait inside it, in order.
        preload: modules that the host imports before it forks; empty means all that a night and a training need
            (`resources.runhost.HEAVY`). Never modules of this project: a host would keep an old version of them.
    """

    def __init__(
        self,
        max_concurrent_runs: int = 2,
        preload: Sequence[str] = (),
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        self._max_concurrent_runs = max_concurrent_runs
        self._preload = tuple(preload)
        self._inst_data = inst_data
        self._hosts: list[tuple[Path, subprocess.Popen[bytes]]] = []
        hasten()  # daemon, web server and runs all make this object
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {
            "max_concurrent_runs": dg.Field(
                int, default_value=2, is_required=False, description="Runs executed at a time; others wait."
            ),
            "preload": dg.Field(
                dg.Array(str),
                default_value=[],
                is_required=False,
                description="Modules imported before the fork; by default all that a night and a training need.",
            ),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "WarmRunLauncher":
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        args = ExecuteRunArgs(
            job_origin=cast("Any", run.job_code_origin),
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        self._hand_over({"do": "run", "run_id": run.run_id, "args": serialize_value(args)})

    def _hand_over(self, request: Mapping[str, Any]) -> None:
        """Once more if the host ends between `start` and `ask`; asked twice, it executes a run once."""
        self.start()
        try:
            ask(self.address, request)
        except GONE:
            self.start()
            ask(self.address, request)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        was = "unknown"
        for address in self._addresses():
            with contextlib.suppress(*GONE):
                was = ask(address, {"do": "terminate", "run_id": run_id})["was"]
            if was != "unknown":
                break
        if was == "waiting":  # there is no process that could report it
            self._instance.report_run_canceled(run, "Canceled before it began.")
        if was == "unknown":
            self._instance.report_engine_event("No run host has a process for this run.", run, cls=type(self))
        return was in ("waiting", "running")

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if run.job_code_origin is None:  # executed by the process that made it, such as `kedge run`
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not a run of the run host")
        state: dict[str, Any] = {"state": "unknown"}
        for address in self._addresses():
            with contextlib.suppress(*GONE):
                state = ask(address, {"do": "state", "run_id": run.run_id})
            if state["state"] != "unknown":
                break
        return CheckRunHealthResult(_worker_status(state), f"the run host answers {state} for this run's process")

    @property
    def address(self) -> Path:
        """Socket of the run host of this instance and of these `KEDGE_*` variables.

        A host hands its own environment to its runs; another environment gets another host. In a private folder, and
        short enough for a socket path.
        """
        environment = sorted((name, value) for name, value in os.environ.items() if name.startswith("KEDGE_"))
        return self._folder / f"{self._mark}-{_digest(json.dumps(environment))}.sock"

    @property
    def _folder(self) -> Path:
        return Path(tempfile.gettempdir()) / f"kedge-{os.getuid()}"

    @property
    def _mark(self) -> str:
        return _digest(self._instance.root_directory)

    def _addresses(self) -> list[Path]:
        """This environment's host first, then others of the instance: they may still execute runs of theirs."""
        others = sorted(set(self._folder.glob(f"{self._mark}-*.sock")) - {self.address})
        return [self.address, *others]

    def start(self) -> None:
        """Start the run host unless it answers; two processes that try at once start one."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        found = self._folder.lstat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
            raise PermissionError(f"{self._folder} must be a folder of yours with mode 0700; remove it or set TMPDIR")
        with self.address.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.alive():
                self._spawn()

    def alive(self) -> bool:
        """Whether a run host listens at `address`; one that still loads its libraries does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.address)) == 0

    def stop(self) -> None:
        """End the run host of this environment and its runs, and wait for that; nothing happens when there is none.

        Runs that waited in it are reported as canceled.
        """
        try:
            dropped = ask(self.address, {"do": "stop"})["dropped"]
        except GONE:
            return
        for run_id in dropped:
            run = self._instance.get_run_by_id(run_id)
            if run is not None:
                self._instance.report_run_canceled(run, "The run host was stopped before this run began.")
        for address, host in self._hosts:
            if address == self.address:
                host.wait()

    def _spawn(self) -> None:
        log = Path(self._instance.root_directory) / "runhost.log"
        command = [sys.executable, "-m", "resources.runhost", str(self.address), str(self._max_concurrent_runs)]
        with log.open("ab") as stream:
            host = subprocess.Popen(  # noqa: S603 - our own module, our own interpreter
                [*command, *self._preload],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=PROJECT,  # not the caller's: a relative KEDGE_DATA means the same whoever starts the host
                start_new_session=True,
            )
        self._hosts = [(self.address, host), *(known for known in self._hosts if known[1].poll() is None)]
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.alive():
            if host.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"the run host did not start within {START_TIMEOUT_SECONDS} s; see {log}")
            time.sleep(0.05)


def end_host(instance: dg.DagsterInstance) -> None:
    """End the warm run host of `instance` and its runs; nothing happens if it uses another launcher."""
    if isinstance(instance.run_launcher, WarmRunLauncher):
        instance.run_launcher.stop()


def _worker_status(state: Mapping[str, Any]) -> WorkerStatus:
    if state["state"] in ("waiting", "running"):
        return WorkerStatus.RUNNING
    return WorkerStatus.SUCCESS if state.get("status") == 0 else WorkerStatus.FAILED


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
