"""A run launcher that forks runs from a process with the heavy libraries already loaded.

Importing Great Expectations, Evidently, MLflow and torch takes 7 to 12 seconds; a nightly run computes for 3. Dagster's
default launcher pays the imports for every run. Here `resources.runhost` imports them once and forks (docs/adr/0002).
"""

import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
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

START_TIMEOUT_SECONDS = 120


class WarmRunLauncher(RunLauncher, ConfigurableClass):
    """Hands runs to the run host of this Dagster instance, starting it when it is not there.

    Args:
        max_concurrent_runs: how many runs the host executes at a time; the others wait inside it, in order.
    """

    def __init__(self, max_concurrent_runs: int = 2, inst_data: ConfigurableClassData | None = None) -> None:
        self._max_concurrent_runs = max_concurrent_runs
        self._inst_data = inst_data
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
            )
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
        self.start()
        ask(self.address, {"do": "run", "run_id": run.run_id, "args": serialize_value(args)})

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return bool(ask(self.address, {"do": "terminate", "run_id": run_id})["found"])

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        try:
            state = ask(self.address, {"do": "state", "run_id": run.run_id})["state"]
        except (FileNotFoundError, ConnectionError):
            state = "unknown"
        status = {"running": WorkerStatus.RUNNING, "waiting": WorkerStatus.RUNNING, "ended": WorkerStatus.FAILED}
        return CheckRunHealthResult(
            status.get(state, WorkerStatus.FAILED), f"the run host answers {state!r} for this run's process"
        )

    @property
    def address(self) -> Path:
        """Socket of the run host of this instance; in a private folder, and short enough for a socket path."""
        name = hashlib.sha256(self._instance.root_directory.encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"kedge-{os.getuid()}" / f"{name}.sock"

    def start(self) -> None:
        """Start the run host unless it answers; two processes that try at once start one."""
        self.address.parent.mkdir(mode=0o700, exist_ok=True)
        if self.address.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.address.parent} belongs to another user; remove it or set TMPDIR")
        with self.address.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.alive():
                self._spawn()

    def alive(self) -> bool:
        """Whether a run host listens at `address`; one that still loads its libraries does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.address)) == 0

    def stop(self) -> None:
        """End the run host and the runs it executes; nothing happens when there is none."""
        if self.alive():
            ask(self.address, {"do": "stop"})

    def _spawn(self) -> None:
        log = Path(self._instance.root_directory) / "runhost.log"
        with log.open("ab") as stream:
            subprocess.Popen(  # noqa: S603 - our own module, our own interpreter
                [sys.executable, "-m", "resources.runhost", str(self.address), str(self._max_concurrent_runs)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self.alive():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the run host did not start within {START_TIMEOUT_SECONDS} s; see {log}")
            time.sleep(0.05)


def ask(address: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send one JSON line to the run host and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(START_TIMEOUT_SECONDS)
        connection.connect(str(address))
        connection.sendall(json.dumps(request).encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    return cast("dict[str, Any]", json.loads(answer))
