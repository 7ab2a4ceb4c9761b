import socket
import sys
from pathlib import Path

from kedge.training.order import PIPE, Order


def test_the_process_learns_nothing_of_the_lake() -> None:
    env = {"KEDGE_HOME": "/lake", "KEDGE_KEYS": "/keys", "KEDGE_FAULT": "x:kill", "PATH": "/bin", "PYTHONPATH": "/mine"}
    order = Order.of(Path("/private"), Path("/private/order"), env)
    assert {name for name in order.environment if name.startswith("KEDGE_")} == {PIPE}
    assert order.environment[PIPE] == "/private/order"
    assert order.environment["PATH"] == "/bin"
    assert order.environment["PYTHONPATH"].split(":") == [str(Path(__file__).parents[3]), "/mine"]
    assert order.environment["OMP_NUM_THREADS"] == "1"


def test_torchrun_starts_one_process_on_a_free_port() -> None:
    order = Order.of(Path("/private"), Path("/private/order"), {})
    assert order.command[:3] == (sys.executable, "-m", "torch.distributed.run")
    assert order.command[-2:] == ("-m", "kedge.training.worker")
    port = int(order.command[order.command.index("--master-port") + 1])
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))
