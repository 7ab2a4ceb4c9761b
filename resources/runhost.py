"""The run host: loads the heavy libraries once, then forks a process for each run it is asked for.

Started by `resources.launcher`. Only third-party libraries are loaded before the fork, so that a changed declaration or
asset is seen by the next run; and nothing is computed before the fork, so that no thread pool exists to be lost by it.
"""

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge.offline import silence

HEAVY = (
    "dagster",
    "dagster._cli.api",
    "polars",
    "pyarrow.parquet",
    "torch",
    "sklearn.linear_model",
    "scipy.stats",
    "pandas",
    "great_expectations",
    "evidently",
    "evidently.presets",
    "evidently.metrics",
    "mlflow",
    "mlflow.pyfunc",
    "cryptography.hazmat.primitives.ciphers.aead",
    "rtdl_num_embeddings",
    "safetensors.torch",
)
POLL_SECONDS = 0.05
REMEMBERED_RUNS = 1_000
IDLE_SECONDS = 1_800


class RunHost:
    """Executes runs, `limit` at a time, each in a process forked from this one.

    Attributes:
        waiting: run id -> serialized arguments of `dagster api execute_run`, first come first served.
        running: run id -> process id.
        ended: run id -> exit status of the runs that ended last.
    """

    def __init__(self, address: Path, limit: int) -> None:
        self.address, self.limit = address, limit
        self.waiting: OrderedDict[str, str] = OrderedDict()
        self.running: dict[str, int] = {}
        self.ended: OrderedDict[str, int] = OrderedDict()
        self.stopping = False
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def listen(self) -> None:
        """Bind the socket, open to this user only."""
        with contextlib.suppress(FileNotFoundError):
            self.address.unlink()
        old = os.umask(0o177)
        self.server.bind(str(self.address))
        os.umask(old)
        self.server.listen(64)
        self.server.setblocking(False)

    def serve(self) -> None:
        """Answer requests, start waiting runs, reap ended ones, until told to stop or idle for long."""
        selector = selectors.DefaultSelector()
        selector.register(self.server, selectors.EVENT_READ)
        last = time.monotonic()
        while not self.stopping:
            if selector.select(POLL_SECONDS if self.running or self.waiting else 1.0):
                self._answer()
            self._reap()
            self._start()
            if self.running or self.waiting:
                last = time.monotonic()
            if time.monotonic() - last > IDLE_SECONDS:
                break
        self._end_all()
        self.address.unlink(missing_ok=True)

    def _answer(self) -> None:
        connection, _ = self.server.accept()
        with connection:
            connection.settimeout(5)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            if struct.unpack("3i", credentials)[1] != os.getuid():
                return
            asked = b"".join(iter(lambda: connection.recv(65_536), b""))
            if not asked:  # somebody only looked whether a host listens
                return
            request = json.loads(asked)
            connection.sendall(json.dumps(self.handle(request)).encode())

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request and return its answer."""
        run_id = request.get("run_id", "")
        if request["do"] == "run":
            self.waiting[run_id] = request["args"]
        elif request["do"] == "terminate":
            return {"found": self._terminate(run_id)}
        elif request["do"] == "state":
            return {"state": self._state(run_id)}
        elif request["do"] == "stop":
            self.stopping = True
        return {"pid": os.getpid()}

    def _state(self, run_id: str) -> str:
        places: dict[str, Mapping[str, object]] = {
            "waiting": self.waiting,
            "running": self.running,
            "ended": self.ended,
        }
        return next((state for state, place in places.items() if run_id in place), "unknown")

    def _terminate(self, run_id: str) -> bool:
        if run_id in self.waiting:
            del self.waiting[run_id]
            return True
        if run_id in self.running:
            os.kill(self.running[run_id], signal.SIGTERM)
            return True
        return False

    def _start(self) -> None:
        while self.waiting and len(self.running) < self.limit:
            run_id, args = self.waiting.popitem(last=False)
            sys.stdout.flush()
            sys.stderr.flush()
            process = os.fork()
            if process == 0:
                self.server.close()
                execute(args)
            self.running[run_id] = process

    def _reap(self) -> None:
        for run_id, process in list(self.running.items()):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                del self.running[run_id]
                self.ended[run_id] = status
        while len(self.ended) > REMEMBERED_RUNS:
            self.ended.popitem(last=False)

    def _end_all(self) -> None:
        for process in self.running.values():
            os.kill(process, signal.SIGTERM)
        for process in self.running.values():
            os.waitpid(process, 0)


def execute(args: str) -> None:
    """In the forked process: do what `dagster api execute_run` does, then leave without returning to the host."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.argv = ["dagster", "api", "execute_run", args]
        from dagster._cli import main

        main()  # type: ignore[no-untyped-call]
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def preload() -> None:
    """Import what every run needs."""
    for name in HEAVY:
        importlib.import_module(name)


def main() -> None:
    silence()
    host = RunHost(Path(sys.argv[1]), int(sys.argv[2]))
    host.listen()
    preload()
    signal.signal(signal.SIGTERM, lambda *_: setattr(host, "stopping", True))
    host.serve()


if __name__ == "__main__":
    main()
