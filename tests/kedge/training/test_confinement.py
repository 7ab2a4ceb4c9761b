import ast
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.training import landlock, syscalls
from kedge.training.confine import Rules
from kedge.training.confinement import Isolation, described, without

ROOT = Path(__file__).parents[3]
Confined = Callable[[Rules, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def confined(tmp_path: Path) -> Confined:
    """Runs Python code under rules."""

    def run(rules: Rules, code: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "kedge.training.confine", rules.to_text(), sys.executable, "-c", code]
        return subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    return run


def rules_of(folder: Path, version: int, **more: object) -> Rules:
    paths = {"/usr": landlock.USE, "/lib": landlock.USE, "/lib64": landlock.USE, "/etc/ld.so.cache": landlock.READ}
    paths |= {sys.prefix: landlock.USE, sys.base_prefix: landlock.USE, str(folder): landlock.OWN}
    return Rules(landlock=version, paths=paths, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", range(1, landlock.version() + 1))
def test_each_version_of_landlock_confines_files(tmp_path: Path, confined: Confined, version: int) -> None:
    """A kernel may know less than this one: every version that it could know is asked for."""
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.write_text("x")
    code = f"open({str(own / 'a')!r}, 'w').write('x'); print('own')\n"
    code += f"try: open({str(other)!r})\nexcept OSError as e: print(e.errno)"
    found = confined(rules_of(own, version), code)
    assert found.stdout.split() == ["own", "13"], found.stderr


def test_without_landlock_the_rest_still_holds(tmp_path: Path, confined: Confined) -> None:
    """As in a container that has none."""
    code = "import socket\ntry: socket.socket(type=socket.SOCK_DGRAM)\nexcept OSError as e: print(e.errno)"
    assert confined(Rules(filtered=True), code).stdout == "97\n"
    assert confined(Rules(), "print(open('/proc/self/status').read())").stdout.count("NoNewPrivs:\t1") == 1


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ("socket.socket()", ""),
        ("socket.socket(socket.AF_INET6)", ""),
        ("socket.socketpair()", ""),
        ("socket.socket(socket.AF_UNIX)", "97"),
        ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "97"),
        ("socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)", "97"),  # MPTCP, which Landlock does not see
        ("os.chmod('.', 0o700)", "1"),
        ("os.chown('.', os.getuid(), os.getgid())", "1"),
        ("os.setxattr('.', 'user.kedge', b'x')", "1"),
    ],
)
def test_system_calls_that_landlock_does_not_judge(confined: Confined, call: str, refused: str) -> None:
    code = f"import os, socket\ntry: {call}\nexcept OSError as e: print(e.errno)"
    assert confined(Rules(filtered=syscalls.can_filter()), code).stdout.strip() == refused


def test_io_uring_is_unknown(confined: Confined) -> None:
    code = "import ctypes; l = ctypes.CDLL(None, use_errno=True); l.syscall(425, 1, None); print(ctypes.get_errno())"
    assert confined(Rules(filtered=True), code).stdout == "38\n"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_step_of_the_filter_jumps_out_of_it(machine: str) -> None:
    steps = syscalls.program(machine)
    count = len(steps) // 8
    for at in range(count):
        code, if_true, if_false = steps[8 * at], steps[8 * at + 2], steps[8 * at + 3]
        if code & 0x07 == 0x05:
            assert at + 1 + max(if_true, if_false) < count


DOCKER = sum(1 << bit for bit in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31))
"""What the root of a Docker container has by default; CAP_DAC_READ_SEARCH, bit 2, is not among it."""


@pytest.mark.parametrize("held", [(1 << 32) - 1, DOCKER, 0])
def test_root_gives_up_its_capabilities(tmp_path: Path, held: int) -> None:
    """All but those that read other users' files, of which a container's root has one or none."""
    code = "print({l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'CapInh'))})"
    (permitted,) = (
        int(line.split()[1], 16)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapPrm")
    )
    held &= permitted

    def drop() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(held, held, 0, 0, 0, 0)) == 0
        assert libc.prctl(38, ctypes.c_ulong(1), 0, 0, 0) == 0  # else root has them again once it executes something

    rules = Rules(capabilities=True).to_text()
    command = [sys.executable, "-m", "kedge.training.confine", rules, sys.executable, "-c", code]
    env = {"PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, preexec_fn=drop)
    left = {f"{held & 6:016x}", f"{0:016x}"}
    assert found.returncode == 0, found.stderr
    assert ast.literal_eval(found.stdout) == left


def test_what_was_planned_and_cannot_be_done_ends_it(confined: Confined) -> None:
    found = confined(Rules(landlock=1, paths={str(ROOT): 1 << 40}), "print('ran')")
    assert (found.returncode, found.stdout) == (1, "")
    assert "KEDGE_TRAINING_CONFINED" in found.stderr


def test_required_fails_where_there_is_no_landlock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(Terminal, match="KEDGE_TRAINING_CONFINED: needs a kernel with Landlock"):
        Isolation("required").rules(tmp_path, [], [])
    found = Isolation("auto").rules(tmp_path, [], [])
    assert found.landlock == 0
    assert "Landlock" not in described(found)


def test_another_user_needs_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Terminal, match="KEDGE_TRAINING_UID: needs to be started as root"):
        Isolation(user=65534).rules(tmp_path, [], [])


def test_what_is_in_force_is_said() -> None:
    everything = Rules(landlock=7, filtered=True, capabilities=True, user=65534)
    assert described(everything) == "Landlock 7, seccomp, no capabilities, uid 65534"
    assert described(Isolation("off").rules(Path("/"), [], [])) == "nothing"
    assert Rules.from_text(everything.to_text()) == everything


def test_a_folder_apart_is_left_out_of_one_that_is_read(tmp_path: Path) -> None:
    for name in ("lib/python", "lib/kedge/home", "share"):
        (tmp_path / name).mkdir(parents=True)
    apart = [tmp_path / "lib" / "kedge" / "home"]
    assert list(without(tmp_path, apart)) == [tmp_path / "lib" / "python", tmp_path / "share"]
    assert list(without(tmp_path / "share", apart)) == [tmp_path / "share"]
    assert list(without(tmp_path / "lib" / "kedge" / "home" / "lake", apart)) == [apart[0] / "lake"]


def settings_of(tmp_path: Path, data: Path) -> Settings:
    env = {"KEDGE_HOME": str(tmp_path / "home"), "KEDGE_KEYS": str(tmp_path / "keys"), "KEDGE_DATA": str(data)}
    return Settings.from_environment(env | {"KEDGE_KEYS_PASSPHRASE_FILE": str(tmp_path / "passphrase")})


def test_deliveries_are_apart_even_inside_a_folder_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("prefix/inbox", "prefix/lib"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    isolation = Isolation.of(settings_of(tmp_path, tmp_path / "prefix/inbox"))
    assert set(isolation.apart) == {
        tmp_path / name for name in ("home", "keys", "prefix/inbox", "passphrase")
    }  # fmt: skip
    paths = isolation.rules(tmp_path / "room", [], []).paths or {}
    assert [path for path in paths if path.startswith(str(tmp_path / "prefix"))] == [str(tmp_path / "prefix/lib")]


@pytest.mark.parametrize("data", [ROOT, ROOT.parent, Path("/"), Path(sys.prefix)])
def test_a_training_starts_where_the_deliveries_folder_holds_the_code(tmp_path: Path, data: Path) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "kedge").symlink_to(ROOT / "kedge", target_is_directory=True)
    rules = Isolation.of(settings_of(tmp_path, data)).rules(room, [], [])
    code = "import sys, numpy, kedge.training.worker; print(sys.prefix)\ntry: open(sys.argv[1])\n"
    code += "except OSError as e: print(e.errno)"
    confine = [sys.executable, "-m", "kedge.training.confine", rules.to_text()]
    command = [*confine, sys.executable, "-c", code, str(ROOT / "README.md")]
    env = {"PYTHONPATH": f"{room}:{ROOT}"}
    found = subprocess.run(command, cwd=room, env=env, capture_output=True, text=True)
    assert found.stdout.split() == [sys.prefix, *(["13"] if rules.landlock else [])], found.stderr


def test_shared_memory_is_not_shared_where_something_apart_or_the_room_lies_in_it(tmp_path: Path) -> None:
    def shared(apart: Path, room: Path) -> bool:
        return "/dev/shm" in (Isolation(apart=[apart]).rules(room, [], []).paths or {})

    (tmp_path / "link").symlink_to("/dev/shm", target_is_directory=True)
    assert shared(tmp_path, tmp_path)
    assert not shared(Path("/dev/shm/passphrase"), tmp_path)
    assert not shared(tmp_path / "link" / "keys", tmp_path)
    assert not shared(tmp_path, Path("/dev/shm/kedge-0/training/a"))


def test_the_rules_name_nothing_of_the_project_but_kedge(tmp_path: Path) -> None:
    paths = Isolation().rules(tmp_path, [tmp_path / "out"], [1]).paths or {}
    inside = [path for path in paths if Path(path).is_relative_to(ROOT)]
    assert set(inside) <= {str(ROOT / "kedge"), str(Path(sys.prefix).resolve())}
    assert paths[str(tmp_path / "out")] == landlock.OWN
    assert paths[str(tmp_path)] == landlock.READ
    assert not [path for path in paths if path == "/" or Path(path).is_relative_to("/proc/self")]
    assert json.loads(Isolation().rules(tmp_path, [], [1]).to_text())["ports"] == [1]
