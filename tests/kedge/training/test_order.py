import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kedge import faults
from kedge.training.launch import launch_local
from kedge.training.order import OUT, PIPE, Order
from kedge.training.room import Room


def test_the_process_learns_nothing_of_the_lake() -> None:
    env = {"KEDGE_HOME": "/lake", "KEDGE_KEYS": "/keys", "KEDGE_FAULT": "x:kill", "PATH": "/bin", "PYTHONPATH": "/mine"}
    order = Order.of(Room(Path("/private")), env=env)
    assert {name for name in order.environment if name.startswith("KEDGE_")} == {PIPE, OUT, faults.VARIABLE}
    assert order.environment[PIPE] == "/private/order"
    assert order.environment["PATH"] == "/bin"
    assert order.environment["PYTHONPATH"].split(":") == ["/private/code", str(Path(__file__).parents[3]), "/mine"]
    assert order.environment["TMPDIR"] == order.environment["HOME"] == "/private/temporary"
    assert order.environment["OMP_NUM_THREADS"] == "1"


def test_no_secret_of_the_environment_reaches_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "KEDGE_HOME", "KEDGE_KEYS", "DAGSTER_HOME", "MLFLOW_TRACKING_URI")
    secrets += ("NVIDIA_API_KEY", "NVIDIA_TOKEN", "CUDA_SECRET", "NVIDIA_Password")
    for name in secrets:
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    order = Order.of(Room(tmp_path))
    lines: list[str] = []
    look = (sys.executable, "-c", "import os; [print(f'{name}={value}') for name, value in os.environ.items()]")
    launch_local(replace(order, command=look), lines.append)
    assert lines.pop(0) == f"the training process is confined: {order.confined}\n"
    found = dict(line.rstrip("\n").split("=", 1) for line in lines)
    assert not found.keys() & set(secrets)
    assert "planted" not in found.values()
    assert found.keys() >= {"PATH", "CUDA_VISIBLE_DEVICES", "LC_ALL", "PYTHONPATH", PIPE}


def test_torchrun_starts_one_process_on_a_free_port() -> None:
    order = Order.of(Room(Path("/private")), env={})
    assert order.command[:3] == (sys.executable, "-m", "kedge.training.confine")
    assert order.command[4:7] == (sys.executable, "-m", "torch.distributed.run")
    assert order.command[-2:] == ("-m", "kedge.training.worker")
    port = int(order.command[order.command.index("--master-port") + 1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))
