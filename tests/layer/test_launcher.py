"""Real runs through a real run host, which loads Dagster only: the heavy libraries are not needed by these jobs."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

from resources.launcher import WarmRunLauncher, end_host
from resources.runhost import HEAVY
from resources.wire import ask

ROOT = Path(__file__).parent.parent.parent
CONFIG = """\
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
run_launcher:
  module: resources.launcher
  class: WarmRunLauncher
  config: {max_concurrent_runs: 1, preload: [dagster, dagster._cli.api]}
"""
JOBS = """
import os, signal, sys, time
from pathlib import Path
import dagster as dg
from kedge.training.order import Order
from resources import torchrun

FOLDER = Path(__file__).parent
TORCHRUN = (
    "-m", "torch.distributed.run", "--rdzv-backend", "static", "--master-addr", "127.0.0.1", "--master-port", "0",
    "--nnodes", "1", "--nproc-per-node", "1", "--max-restarts", "0",
)

def mark(context, name):
    (FOLDER / f"{context.run_id}.{name}").write_text(str(os.getpid()))

@dg.op
def quick(context):
    mark(context, "done")

@dg.op
def sleep(context):
    mark(context, "run")
    time.sleep(60)

def train(context, program, *launcher):
    mark(context, "run")
    script = FOLDER / "trainer.py"
    script.write_text(program)
    environment = os.environ | {"MARK": str(FOLDER / context.run_id)}
    torchrun.launch_through_pipes(context)(Order((sys.executable, *launcher, str(script)), environment, FOLDER))

@dg.op
def train_for_long(context):
    program = '''
import os, pathlib, time
pathlib.Path(os.environ["MARK"] + ".agent").write_text(str(os.getppid()))
pathlib.Path(os.environ["MARK"] + ".trainer").write_text(str(os.getpid()))
time.sleep(60)
'''
    train(context, program, *TORCHRUN)

@dg.op
def train_deaf(context):
    torchrun.TERMINATION_SECONDS = 0.5
    program = '''
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["MARK"] + ".trainer").write_text(str(os.getpid()))
time.sleep(60)
'''
    train(context, program)

def job_of(op):
    @dg.job(name=op.name + "_job", executor_def=dg.in_process_executor)
    def made():
        op()
    return made

quick_job, sleep_job = job_of(quick), job_of(sleep)
train_for_long_job, train_deaf_job = job_of(train_for_long), job_of(train_deaf)
"""


class Bench:
    """An instance on disk, its launcher, and a file of jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs = folder / "jobs.py"
        self.jobs.write_text(JOBS)
        (folder / "dagster.yaml").write_text(CONFIG)
        self.instance = dg.DagsterInstance.from_config(str(folder))
        launcher = self.instance.run_launcher
        assert isinstance(launcher, WarmRunLauncher)
        self.launcher = launcher

    def launch(self, op: str) -> str:
        """Run id of a run of this op, handed over to the launcher as the daemon does."""
        from dagster._core.definitions.reconstruct import ReconstructableJob

        job = ReconstructableJob.for_file(str(self.jobs), f"{op}_job")
        origin = job.get_python_origin()
        run = self.instance.create_run_for_job(job.get_definition(), job_code_origin=origin)
        self.instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def ended(self, run_id: str) -> dg.DagsterRunStatus:
        _until(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status

    def pid(self, run_id: str, name: str = "run") -> int:
        """Process id that the job, or its training process, has left."""
        path = self.folder / f"{run_id}.{name}"
        _until(lambda: path.exists() and path.read_text() != "")
        return int(path.read_text())

    def state(self, run_id: str) -> str:
        return str(ask(self.launcher.address, {"do": "state", "run_id": run_id})["state"])

    def health(self, run_id: str) -> WorkerStatus:
        return self.launcher.check_run_worker_health(self.run(run_id)).status

    def host(self) -> int:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.launcher.address))
            return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)


def _until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def _gone(pid: int) -> bool:
    """Whether the process ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def made(place: Path) -> Iterator[Bench]:
    bench = Bench(place)
    with bench.instance:
        yield bench


@pytest.fixture
def bench(made: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The host is the same for all tests of this file, so its environment has to be."""
    monkeypatch.setenv("KEDGE_HOME", str(made.folder / "home"))
    monkeypatch.setenv("KEDGE_KEYS", str(made.folder / "keys"))
    return made


@pytest.fixture(scope="module", autouse=True)
def _no_host_is_left(made: Bench) -> Iterator[None]:
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEDGE_HOME", str(made.folder / "home"))
        patch.setenv("KEDGE_KEYS", str(made.folder / "keys"))
        made.launcher.stop()


def test_a_run_succeeds_and_an_edited_job_is_seen_by_the_next(bench: Bench) -> None:
    first = bench.launch("quick")
    assert bench.ended(first) is dg.DagsterRunStatus.SUCCESS
    host = bench.host()
    bench.jobs.write_text(JOBS.replace('mark(context, "done")', 'mark(context, "edited")'))
    second = bench.launch("quick")
    assert bench.ended(second) is dg.DagsterRunStatus.SUCCESS
    assert (bench.folder / f"{first}.done").exists()
    assert (bench.folder / f"{second}.edited").exists()
    assert bench.host() == host, "both came from one host"
    _until(lambda: bench.state(second) == "ended")
    assert bench.health(second) is WorkerStatus.SUCCESS


def test_one_run_at_a_time_then_canceled_while_running_and_while_waiting(bench: Bench) -> None:
    running, waiting, last = bench.launch("sleep"), bench.launch("sleep"), bench.launch("quick")
    process = bench.pid(running)
    again = ask(bench.launcher.address, {"do": "run", "run_id": running, "args": "again"})
    assert again == {"state": "running", "pid": process}, "handed over twice, executed once"
    assert [bench.state(run) for run in (running, waiting, last)] == ["running", "waiting", "waiting"]
    assert bench.health(running) is WorkerStatus.RUNNING
    assert bench.health(waiting) is WorkerStatus.RUNNING
    assert bench.launcher.terminate(waiting)
    assert bench.run(waiting).status is dg.DagsterRunStatus.CANCELED
    assert bench.launcher.terminate(running)
    assert bench.ended(running) is dg.DagsterRunStatus.CANCELED
    assert bench.ended(last) is dg.DagsterRunStatus.SUCCESS
    assert not (bench.folder / f"{waiting}.run").exists()
    assert not bench.launcher.terminate(running), "it has ended"


def test_a_killed_run_process_is_found_failed(bench: Bench) -> None:
    run = bench.launch("sleep")
    os.kill(bench.pid(run), signal.SIGKILL)
    _until(lambda: bench.state(run) == "ended")
    assert bench.run(run).status is dg.DagsterRunStatus.STARTED
    assert bench.health(run) is WorkerStatus.FAILED


def test_a_run_of_another_process_is_none_of_ours(bench: Bench) -> None:
    run = bench.instance.create_run_for_job(dg.GraphDefinition("empty").to_job())
    assert bench.health(run.run_id) is WorkerStatus.RUNNING


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xfe\x00",
        b"{",
        b"[" * 100_000,
        b"7",
        b"{}",
        b'{"do": "dance", "run_id": "x"}',
        b'{"do": ["run"]}',
        b'{"do": "run", "run_id": "x"}',
        b'{"do": "state", "run_id": 7}',
    ],
)
def test_garbage_is_answered_and_does_not_end_the_host(bench: Bench, sent: bytes) -> None:
    bench.launcher.start()
    host = bench.host()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(bench.launcher.address))
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answer = json.loads(b"".join(iter(lambda: client.recv(65_536), b"")))
    assert answer["error"].startswith("needs ")
    assert bench.host() == host
    assert bench.state("nothing") == "unknown"


def test_clients_that_hang_or_leave_do_not_end_the_host_nor_its_run(bench: Bench) -> None:
    run = bench.launch("sleep")
    process, host = bench.pid(run), bench.host()
    for sent in (b"", b'{"do": "state", "run_id": "x"}\n'):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as leaves:
                leaves.connect(str(bench.launcher.address))
                leaves.sendall(sent)
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.connect(str(bench.launcher.address))
        hangs.sendall(b'{"do":')
        assert bench.state(run) == "running", "answered once the host has given up the silent one"
    assert bench.host() == host
    assert not _gone(process)
    bench.launcher.terminate(run)
    assert bench.ended(run) is dg.DagsterRunStatus.CANCELED


def test_another_environment_gets_another_host_and_still_finds_the_runs_of_this(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.launch("sleep")
    bench.pid(run)
    here = bench.launcher.address
    monkeypatch.setenv("KEDGE_DATA", "/elsewhere")
    assert bench.launcher.address != here
    assert not bench.launcher.alive()
    assert bench.health(run) is WorkerStatus.RUNNING
    bench.launcher.stop()  # ends nothing: this environment has no host
    assert bench.launcher.terminate(run)
    assert bench.ended(run) is dg.DagsterRunStatus.CANCELED
    monkeypatch.delenv("KEDGE_DATA")
    assert bench.launcher.address == here
    monkeypatch.setenv("UNRELATED", "x")
    assert bench.launcher.address == here


def test_a_training_process_does_not_outlive_its_killed_run(bench: Bench) -> None:
    run = bench.launch("train_for_long")
    trainer, agent = bench.pid(run, "trainer"), bench.pid(run, "agent")
    os.kill(bench.pid(run), signal.SIGKILL)
    _until(lambda: _gone(agent) and _gone(trainer))
    assert _gone(agent)
    assert _gone(trainer)


def test_a_training_process_that_ignores_the_cancellation_is_killed(bench: Bench) -> None:
    run = bench.launch("train_deaf")
    trainer = bench.pid(run, "trainer")
    bench.launcher.terminate(run)
    assert bench.ended(run) is dg.DagsterRunStatus.CANCELED
    assert _gone(trainer)


def test_stop_ends_the_host_its_run_and_what_waits(bench: Bench) -> None:
    running, waiting = bench.launch("sleep"), bench.launch("sleep")
    process, host = bench.pid(running), bench.host()
    end_host(bench.instance)
    assert _gone(process)
    assert _gone(host)
    assert not bench.launcher.address.exists()
    assert bench.run(running).is_finished
    assert bench.run(waiting).status is dg.DagsterRunStatus.CANCELED
    assert bench.health(running) is WorkerStatus.FAILED
    bench.launcher.stop()  # a second time there is nothing to end


def test_runs_end_with_a_killed_host(bench: Bench) -> None:
    run = bench.launch("sleep")
    process, host = bench.pid(run), bench.host()
    os.kill(host, signal.SIGKILL)
    _until(lambda: _gone(process))
    assert bench.health(run) is WorkerStatus.FAILED


def test_a_host_that_ends_between_start_and_the_request_is_replaced(bench: Bench) -> None:
    """It still lets `start` connect, is gone before it reads the request, and leaves its socket behind."""
    bench.launcher.stop()
    address = bench.launcher.address
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as dying:
        dying.bind(str(address))
        dying.listen()

        def end() -> None:
            for _ in range(2):  # start's look, then the request
                dying.accept()[0].close()
            dying.close()

        thread = threading.Thread(target=end)
        thread.start()
        run = bench.launch("quick")
        thread.join()
    assert bench.ended(run) is dg.DagsterRunStatus.SUCCESS


def test_nothing_of_ours_is_loaded_before_the_fork() -> None:
    """Else a host would run yesterday's code."""
    ours = {"kedge", "assets", "resources", "sensors", "pipelines", "commands"}
    assert not ours & {name.partition(".")[0] for name in HEAVY}
    light = ("dagster", "dagster._cli.api")  # the rest takes ten seconds and knows of us no more than Dagster
    program = f"import sys, resources.runhost as host; host.silence(); host.preload({light}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(light) <= loaded
    found = {name for name in loaded if name.partition(".")[0] in ours}
    assert found == {"kedge", "kedge.offline", "resources", "resources.runhost", "resources.wire"}
