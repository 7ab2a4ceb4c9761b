"""What a library that turned bad inside the training process would try; started by torchrun in the worker's place.

It knows everything an insider could tell it (`guess.json`) and reports what each attempt gave: a text without content,
or nothing if it was refused.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GUESS: dict[str, Any] = json.loads((HERE / "guess.json").read_text())
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
LIBC = ctypes.CDLL(None, use_errno=True)
PARENT = Path("/proc", str(GUESS["parent"]))
ENVIRONMENT = dict(os.environ)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


INHERITED = [number for number in range(3, 256) if _is_open(number)]


def _failed(found: int) -> None:
    if found < 0:
        raise OSError(ctypes.get_errno(), "refused")


def key_ring() -> str:
    return f"{len(Path(GUESS['ring']).read_bytes())} bytes"


def unlock_key() -> str:
    return f"{len(Path(GUESS['unlock']).read_bytes())} bytes"


def list_home() -> str:
    return f"{len(list(Path(GUESS['home']).iterdir()))} names"


def read_manifest() -> str:
    return f"{len(Path(GUESS['manifest']).read_bytes())} bytes"


def other_night() -> str:
    return f"{len(Path(GUESS['other_night']).read_bytes())} bytes"


def own_night_in_the_lake() -> str:
    return f"{len(Path(GUESS['own_night']).read_bytes())} bytes"


def unwrap() -> str:
    from kedge.settings import Settings
    from kedge.workspace import Workspace

    places = {"KEDGE_HOME": GUESS["home"], "KEDGE_KEYS": GUESS["keys"]}
    stored = Workspace.open(Settings.from_environment(places)).dataset("bank", "validated").current("2026-01-01")
    (file,) = stored.file_keys()
    return f"a key of {len(file.key)} bytes"


def open_lake() -> str:
    from kedge.settings import Settings
    from kedge.workspace import Workspace

    places = {"KEDGE_HOME": GUESS["home"], "KEDGE_KEYS": GUESS["keys"]}
    frame = Workspace.open(Settings.from_environment(places)).dataset("bank", "validated").current("2026-01-01").scan()
    return f"{frame.collect().height} rows"


def parent_environment() -> str:
    return f"{len((PARENT / 'environ').read_bytes())} bytes"


def parent_map() -> str:
    return f"{len((PARENT / 'maps').read_text())} characters"


def parent_memory() -> str:
    with (PARENT / "mem").open("rb", buffering=0) as memory:
        memory.seek(GUESS["address"])
        return f"{len(memory.read(16))} bytes"


def parent_memory_by_call() -> str:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    buffer = ctypes.create_string_buffer(16)
    mine, theirs = Vector(ctypes.addressof(buffer), 16), Vector(GUESS["address"], 16)
    found = LIBC.process_vm_readv(GUESS["parent"], ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    _failed(found)
    return f"{found} bytes"


def parent_files() -> str:
    return f"{len(list((PARENT / 'fd').iterdir()))} descriptors"


def trace_parent() -> str:
    found = LIBC.ptrace(PTRACE_ATTACH, GUESS["victim"], None, None)
    _failed(found)
    os.waitpid(GUESS["victim"], 0x40000000)
    LIBC.ptrace(PTRACE_DETACH, GUESS["victim"], None, None)
    return "attached"


def signal_parent() -> str:
    os.kill(GUESS["parent"], 0)
    return "may be signalled"


def end_another_process() -> str:
    os.kill(GUESS["victim"], signal.SIGTERM)
    return "signalled"


def inherited_descriptors() -> str:
    return f"{len(INHERITED)} descriptors" if INHERITED else ""


def output_file() -> str:
    import stat

    return ", ".join(str(number) for number in range(3) if stat.S_ISREG(os.fstat(number).st_mode))


def environment() -> str:
    families, known = ("KEDGE_", "DAGSTER_", "AWS_", "MLFLOW_"), {"KEDGE_ORDER", "KEDGE_OUT"}
    found = [name for name in ENVIRONMENT if name.startswith(families) and name not in known]
    places = [name for name, value in ENVIRONMENT.items() if GUESS["home"] in value or GUESS["keys"] in value]
    return ", ".join(found + places)


def pipe_again() -> str:
    handle = os.open(os.environ["KEDGE_ORDER"], os.O_RDONLY | os.O_NONBLOCK)
    return f"{len(os.read(handle, 100))} bytes"


def connect_tcp() -> str:
    with socket.create_connection(("127.0.0.1", GUESS["tcp"]), timeout=5):
        return "connected"


def connect_tcp_by_fast_open() -> str:
    with socket.socket() as found:
        return f"{found.sendto(b'x', 0x20000000, ('127.0.0.1', GUESS['tcp']))} bytes"


def send_udp() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        return f"{found.sendto(b'x', ('127.0.0.1', GUESS['udp']))} bytes"


def connect_socket_with_a_path() -> str:
    with socket.socket(socket.AF_UNIX) as found:
        found.connect(GUESS["unix"])
        return "connected"


def connect_abstract_socket() -> str:
    with socket.socket(socket.AF_UNIX) as found:
        found.connect("\0" + GUESS["abstract"])
        return "connected"


def listen() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return "bound"


def write_elsewhere() -> str:
    Path(GUESS["elsewhere"]).write_text("x")
    return "written"


def write_into_the_lake() -> str:
    (Path(GUESS["home"]) / "planted").write_text("x")
    return "written"


def write_into_the_code() -> str:
    import kedge

    path = Path(kedge.__file__).parent / "training" / ".planted"
    path.write_text("x")
    path.unlink()
    return "written"


def write_beside_the_task() -> str:
    (HERE / "planted").write_text("x")
    return "written"


def change_its_own_night() -> str:
    night = next((HERE / "files").iterdir())
    with night.open("r+b"):
        return "opened for writing"


def change_a_mode() -> str:
    Path(GUESS["mode"]).chmod(0o777)
    return "changed"


def leave_a_link() -> str:
    (Path(os.environ["KEDGE_OUT"]) / "link").symlink_to(GUESS["ring"])
    return "made"


def other_trainings() -> str:
    return f"{len(list(HERE.parent.iterdir()))} names"


def own_task() -> str:
    """What it may: read its own night with the key that it was given."""
    from kedge.training.handover import receive
    from kedge.training.nightfile import read
    from kedge.training.task import Task

    with receive(Path(os.environ["KEDGE_ORDER"]), orphaned=lambda: None) as content:
        (night,) = Task.from_bytes(content).nights
        rows, _ = read(night, ["balance"])
    return f"{rows.num_rows > 0}"


def own_folders() -> str:
    import tempfile

    from torch import multiprocessing, ones

    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    (Path.home() / "cache").mkdir(exist_ok=True)
    multiprocessing.set_sharing_strategy("file_descriptor")
    shared = ones(1000, 1000).share_memory_()
    return f"{float((shared @ shared)[0, 0])}"


ATTEMPTS: tuple[Callable[[], str], ...] = (
    own_task, own_folders, key_ring, unlock_key, list_home, read_manifest, other_night, own_night_in_the_lake, unwrap,
    open_lake, parent_environment, parent_map, parent_memory, parent_memory_by_call, parent_files, trace_parent,
    signal_parent, inherited_descriptors, output_file, environment, pipe_again, connect_tcp, connect_tcp_by_fast_open,
    send_udp, connect_socket_with_a_path, connect_abstract_socket, listen, write_elsewhere, write_into_the_lake,
    write_into_the_code, write_beside_the_task, change_its_own_night, change_a_mode, leave_a_link, other_trainings,
    end_another_process,
)  # fmt: skip


def main() -> int:
    report = {}
    for attempt in ATTEMPTS:
        try:
            report[attempt.__name__] = attempt()
        except Exception as error:
            report[attempt.__name__] = ""
            sys.stderr.write(f"{attempt.__name__}: {type(error).__name__} {getattr(error, 'errno', '')}\n")
    (Path(os.environ["KEDGE_OUT"]) / "report.json").write_text(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
