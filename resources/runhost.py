"""The run host: loads the heavy libraries once, then forks a process for each run it is asked for.

Started by `resources.launcher` as `python -m resources.runhost SOCKET LIMIT [MODULE...]`; the modules to load before
the fork are `HEAVY` unless named. Only third-party libraries are loaded before the fork, so that a changed declaration
or asset is seen by the next run; and nothing is computed before the fork, so that no thread pool exists to be lost by
it. Whatever a client sends, or does not send, is answered or logged, and never ends the host.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import struct
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kedge.offline import silence
from resources.wire import CLIENT_SECONDS, BadRequest, parse, receive

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
GRACE_SECONDS = 60
"""Between SIGTERM and SIGKILL for the runs of a host that ends; a training takes up to 40 to end."""


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
        self._told_to_stop: list[socket.socket] = []

    def listen(self) -> None:
        """Bind the socket, open to this user only."""
        with contextlib.suppress(FileNotFoundError):
            self.address.unlink()
        old = os.umask(0o177)
        self.server.bind(str(self.address))
        os.umask(old)
        self.server.listen(64)

    def serve(self) -> None:
        """Answer requests, start waiting runs, reap ended ones, until told to stop or idle for long."""
        last = time.monotonic()
        try:
            while not self.stopping and time.monotonic() - last < IDLE_SECONDS:
                self._accept()
                self._reap()
                self._start()
                if self.running or self.waiting:
                    last = time.monotonic()
        finally:
            self._end()

    def _accept(self) -> None:
        """Wait for a client, though not for long, and serve it."""
        self.server.settimeout(POLL_SECONDS if self.running or self.waiting else 1.0)
        try:
            connection, _ = self.server.accept()
        except TimeoutError:
            return
        except OSError as error:  # it went away again, or this process has no descriptor left
            _log(f"accept: {error}")
            time.sleep(POLL_SECONDS)
            return
        try:
            self._answer(connection)
        except OSError as error:  # reset, closed, too slow
            _log(f"a client went away: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the runs of others go on
            _log(f"a request was not served: {type(error).__name__} at line {_line(error)}")
        finally:
            if connection not in self._told_to_stop:
                connection.close()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(CLIENT_SECONDS)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] != os.getuid():
            return
        try:
            asked = receive(connection)
            if not asked:  # somebody only looked whether a host listens
                return
            request = parse(asked)
        except BadRequest as error:
            _log(f"a broken request: {error}")
            connection.sendall(json.dumps({"error": str(error)}).encode())
            return
        if request["do"] == "stop":  # answered when it has been done
            self.stopping = True
            self._told_to_stop.append(connection)
        else:
            connection.sendall(json.dumps(self.handle(request)).encode())

    def handle(self, request: dict[str, str]) -> dict[str, Any]:
        """Carry out one request and return its answer."""
        run_id = request["run_id"]
        if request["do"] == "terminate":
            return {"was": self._terminate(run_id)}
        if request["do"] == "run" and self._state(run_id)["state"] == "unknown":  # asked again, it is run once
            self.waiting[run_id] = request["args"]
        return self._state(run_id)

    def _state(self, run_id: str) -> dict[str, Any]:
        if run_id in self.waiting:
            return {"state": "waiting"}
        if run_id in self.running:
            return {"state": "running", "pid": self.running[run_id]}
        if run_id in self.ended:
            return {"state": "ended", "status": self.ended[run_id]}
        return {"state": "unknown"}

    def _terminate(self, run_id: str) -> str:
        state: str = self._state(run_id)["state"]
        if state == "waiting":
            del self.waiting[run_id]
        elif state == "running":
            os.kill(self.running[run_id], signal.SIGTERM)
        return state

    def _start(self) -> None:
        while self.waiting and len(self.running) < self.limit:
            run_id, args = next(iter(self.waiting.items()))
            sys.stdout.flush()
            sys.stderr.flush()
            parent = os.getpid()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until the child has let go of our handler
            try:
                process = os.fork()
                if process == 0:
                    execute(run_id, args, parent, self.server)
            except OSError as error:  # no memory or no process left: the run stays first in line
                _log(f"fork: {error}")
                return
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
            self.running[run_id] = process
            del self.waiting[run_id]

    def _reap(self) -> None:
        for run_id, process in list(self.running.items()):
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                del self.running[run_id]
                self.ended[run_id] = status
        while len(self.ended) > REMEMBERED_RUNS:
            self.ended.popitem(last=False)

    def _end(self) -> None:
        """Make room for another host, end the runs, tell those who wait for it."""
        self.address.unlink(missing_ok=True)
        self.server.close()
        for process in self.running.values():
            os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while self.running and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            self._reap()
        for process in self.running.values():
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        for connection in self._told_to_stop:
            with contextlib.suppress(OSError), connection:
                connection.sendall(json.dumps({"dropped": list(self.waiting)}).encode())


def _line(error: Exception) -> int | None:
    return traceback.extract_tb(error.__traceback__)[-1].lineno


def _log(line: str) -> None:
    with contextlib.suppress(OSError):  # a full disk must not end the host
        sys.stderr.write(f"run host {os.getpid()}: {line}\n")
        sys.stderr.flush()


def execute(run_id: str, args: str, parent: int, server: socket.socket) -> None:
    """In the forked process: hold the run's lease, do what `dagster api execute_run` does, never return to the host."""
    code = 1
    try:
        server.close()
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        from resources.lifetime import end_with

        end_with(parent)
        sys.argv = ["dagster", "api", "execute_run", args]
        from dagster._cli import main

        from kedge.leases import hold
        from kedge.settings import Settings
        from resources.sqlite import hasten

        hasten()
        with hold(Settings.from_environment().leases, run_id):
            main()  # type: ignore[no-untyped-call]
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:  # noqa: BLE001 - `finally` would swallow it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def preload(modules: Sequence[str]) -> None:
    """Import what every run needs."""
    for name in modules:
        importlib.import_module(name)


def main() -> None:
    silence()
    host = RunHost(Path(sys.argv[1]), int(sys.argv[2]))
    host.listen()
    preload(sys.argv[3:] or HEAVY)
    signal.signal(signal.SIGTERM, lambda *_: setattr(host, "stopping", True))
    host.serve()


if __name__ == "__main__":
    main()
