"""Hostile code in the place of the training process, started as that is: what it is refused, and what it is not.

Ways: as it is by default; as a second user; and, as a control, with nothing that confines it, which shows that the
attempts would work. docs/training.md has the table.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import kedge
from kedge.errors import Terminal
from kedge.lake import Draft, produce
from kedge.outcome import Findings
from kedge.privacy.plan import Plan
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.training import landlock
from kedge.training.launch import launch_local
from kedge.training.order import OUT, Order
from kedge.training.train import train
from kedge.training.training_set import assemble
from kedge.workspace import Workspace

HOSTILE = Path(__file__).with_name("hostile.py")
NOBODY = 65534
PLANTED = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_URI", "KEDGE_PIPELINES", "DAGSTER_HOME")
MARKER = ctypes.create_string_buffer(b"a key in memory.")

MAY = {"own_task": "True", "own_folders": "1000.0"}
"""What a training needs."""

REFUSED = (
    "key_ring", "unlock_key", "list_home", "read_manifest", "other_night", "own_night_in_the_lake", "unwrap",
    "open_lake", "parent_environment", "parent_map", "parent_memory", "parent_memory_by_call", "parent_files",
    "trace_parent", "signal_parent", "end_another_process", "inherited_descriptors", "output_file", "environment",
    "pipe_again", "connect_tcp", "connect_tcp_by_fast_open", "send_udp", "connect_socket_with_a_path",
    "connect_abstract_socket", "listen", "write_elsewhere", "write_into_the_lake", "write_into_the_code",
    "write_beside_the_task", "change_its_own_night", "change_a_mode", "leave_a_link", "other_trainings",
)  # fmt: skip

NEVER = ("inherited_descriptors", "output_file", "environment", "pipe_again")
"""Refused whatever confines the process: there is nothing to be had."""

OPEN_TO_ONE_USER = (
    "key_ring", "unlock_key", "list_home", "read_manifest", "other_night", "own_night_in_the_lake", "unwrap",
    "open_lake", "signal_parent", "end_another_process", "connect_tcp", "send_udp", "connect_socket_with_a_path",
    "connect_abstract_socket", "listen", "write_elsewhere", "write_into_the_lake",
    "write_beside_the_task", "change_its_own_night", "change_a_mode", "leave_a_link", "other_trainings",
)  # fmt: skip
"""What the control run gets: file modes do not stop a process of the same user."""


def _nobody_runs_python() -> bool:
    """Whether this test may become somebody else, and he may read this Python: folders on the way can forbid it."""
    if os.geteuid() != 0:
        return False
    command = [sys.executable, "-c", f"open({kedge.__file__!r})"]
    try:
        return not subprocess.run(
            command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", capture_output=True
        ).returncode
    except PermissionError:
        return False


BY_THE_NETWORK = (
    "connect_tcp", "connect_tcp_by_fast_open", "send_udp", "connect_abstract_socket", "listen", "leave_a_link",
)  # fmt: skip
"""What another user may, too: the network knows no users."""

_SECOND = _nobody_runs_python()
_STOPS = {
    "off": NEVER,
    **({"Landlock": REFUSED} if landlock.version() >= 6 else {}),
    **({"second user": tuple(name for name in REFUSED if name not in BY_THE_NETWORK)} if _SECOND else {}),
    **({"both": REFUSED} if _SECOND and landlock.version() >= 6 else {}),
}
CASES = [(way, attempt) for way, refused in _STOPS.items() for attempt in refused]


def _settings(place: Path, **env: str) -> Settings:
    names = {"KEDGE_HOME": "home", "KEDGE_KEYS": "keys", "KEDGE_DATA": "data"}
    return Settings.from_environment({name: str(place / folder) for name, folder in names.items()} | env)


def _stored(ws: Workspace, dataset: str, night: str, frame: pl.DataFrame, plan: Plan) -> Path:
    def write(draft: Draft) -> Findings:
        draft.write_frame(frame)
        return Findings(notes={"plan": plan.to_json(), "plan_id": plan.id, "raw": "v" + "0" * 32})

    inputs = {"validated": f"v{night[-2:]:0>32}", "plan": plan.id}
    return produce(ws.dataset("bank", dataset), night, inputs=inputs, declared={}, code=1, write=write).version.path


@pytest.fixture(scope="module")
def reports(
    tmp_path_factory: pytest.TempPathFactory,
    declare: Callable[..., Declaration],
    customers: Callable[..., pl.DataFrame],
) -> Callable[[str], Mapping[str, str]]:
    """What the hostile process reports, by the way it is confined; it runs once for each."""
    env = {
        "off": {"KEDGE_TRAINING_CONFINED": "off"},
        "Landlock": {"KEDGE_TRAINING_CONFINED": "required"},
        "second user": {"KEDGE_TRAINING_CONFINED": "off", "KEDGE_TRAINING_UID": str(NOBODY)},
        "both": {"KEDGE_TRAINING_CONFINED": "required", "KEDGE_TRAINING_UID": str(NOBODY)},
    }
    known: dict[str, Mapping[str, str]] = {}

    def run(way: str) -> Mapping[str, str]:
        if way not in known:
            known[way] = {}
            known[way] = _attacked(tmp_path_factory.mktemp("attacked"), env[way], declare, customers)
        return known[way]

    return run


def _attacked(
    place: Path, env: Mapping[str, str], declare: Callable[..., Declaration], customers: Callable[..., pl.DataFrame]
) -> Mapping[str, str]:
    settings, declaration = _settings(place, **env), declare(training={"window": "1d", "device": "cpu"})
    ws, plan = Workspace.open(settings), Plan.of(declaration)
    paths = [_stored(ws, "anonymized", f"2026-01-0{day}", customers(200, seed=day), plan) for day in (1, 2)]
    restricted = _stored(ws, "validated", "2026-01-01", customers(200), plan)
    assemble(ws, declaration, cause="no champion", trigger="person")
    found: dict[str, str] = {}
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name in PLANTED:
            patch.setenv(name, "planted")
        guess = {**_targets(place, settings, stack), "other_night": str(next(paths[0].glob("*.parquet")))}
        guess |= {"own_night": str(next(paths[1].glob("*.parquet"))), "manifest": str(restricted / "manifest.json")}

        def launch(order: Order) -> None:
            script = Path(shutil.copy(HOSTILE, order.folder / "hostile.py"))
            (order.folder / "guess.json").write_text(json.dumps(guess))
            for path in (script, order.folder / "guess.json"):
                path.chmod(0o644)
            assert order.command[-2:] == ("-m", "kedge.training.worker")
            launch_local(replace(order, command=(*order.command[:-2], str(script))))
            found.update(json.loads((Path(order.environment[OUT]) / "report.json").read_text()))

        with pytest.raises(Terminal, match=r"no result\.json"):
            train(ws, declaration, launch=launch)
    return found


def _targets(place: Path, settings: Settings, stack: ExitStack) -> dict[str, Any]:
    """Things that are worth an attack, alive while the stack is open."""
    (rings,) = [path for path in settings.keys.iterdir() if path.is_dir()]
    tcp, udp = (stack.enter_context(socket.socket(type=kind)) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM))
    path, abstract = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
    name = f"kedge-test-{os.getpid()}-{place.name}"
    for found in (tcp, udp):
        found.bind(("127.0.0.1", 0))
    path.bind(str(place / "s"))
    abstract.bind(f"\0{name}")
    for found in (tcp, path, abstract):
        found.listen()
    victim = stack.enter_context(_victim())
    (place / "mode").touch(mode=0o600)
    return {
        "home": str(settings.home),
        "keys": str(settings.keys),
        "ring": str(rings / "ring.json"),
        "unlock": str(rings / "unlock.key"),
        "parent": os.getpid(),
        "victim": victim,
        "address": ctypes.addressof(MARKER),
        "tcp": tcp.getsockname()[1],
        "udp": udp.getsockname()[1],
        "unix": str(place / "s"),
        "abstract": name,
        "elsewhere": str(place / "elsewhere"),
        "mode": str(place / "mode"),
    }


@contextmanager
def _victim() -> Iterator[int]:
    """A process of the same user that is worth tracing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


Reports = Callable[[str], Mapping[str, str]]


@pytest.mark.parametrize(("way", "attempt"), CASES)
def test_it_is_refused(reports: Reports, way: str, attempt: str) -> None:
    assert reports(way)[attempt] == ""


@pytest.mark.parametrize("way", _STOPS)
def test_a_training_gets_what_it_needs(reports: Reports, way: str) -> None:
    found = reports(way)
    assert {name: found[name] for name in MAY} == MAY
    assert found.keys() == {*MAY, *REFUSED}, "every attempt was made"


@pytest.mark.parametrize("attempt", OPEN_TO_ONE_USER)
def test_one_user_cannot_stop_it(reports: Reports, attempt: str) -> None:
    """The control: the same code in the same place with nothing that confines it."""
    assert reports("off")[attempt] != ""
