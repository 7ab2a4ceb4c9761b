"""Landlock: a process gives up files, TCP ports and signals for itself and all it starts, for ever (Linux 5.13).

Raw system calls, since neither Python nor glibc has them; the numbers are the same on every architecture. Rights and
versions: https://docs.kernel.org/userspace-api/landlock.html. A process in a domain may not trace one outside of it
either, which closes `/proc/<pid>/environ`, `mem`, `maps` and `fd` of every other process, whatever its user.
"""

import ctypes
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_NEWEST = 7  # later versions handle more; what they add is not asked for, so nothing here changes

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
USE = READ | EXECUTE
DEVICE = READ | WRITE_FILE | IOCTL_DEV
OWN = READ | WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_DIR | REMOVE_FILE | REMOVE_DIR | REFER
"""A folder of one's own: files and folders only. No links, devices or sockets, which could lead its reader astray."""
SHARED = READ_FILE | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE
"""A folder that others use too: not to be listed."""

_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """Version of the kernel's Landlock, at most the newest that is known here; 0 where there is none.

    1: files. 2: renaming between folders. 3: truncating. 4: TCP. 5: ioctl of devices. 6: signals and abstract sockets.
    A container's seccomp filter may refuse the call: that is none, too.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION))
    return max(0, min(int(found), _NEWEST))


def restrict(known: int, rights: Mapping[str, int], ports: Iterable[int]) -> None:
    """Keep only these rights for this thread and whatever it executes; call it before another thread is started.

    Args:
        known: what `version` said, at least 1.
        rights: path -> rights below it; a path that does not exist gives none.
        ports: TCP ports that may be bound and connected to, on any address.

    Raises:
        OSError: the kernel refused.
    """
    files, network, scoped = _handled(known)
    ruleset = _Ruleset(files, network, scoped)
    handle = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(_size(known)), ctypes.c_uint32(0))
    try:
        for path, allowed in rights.items():
            _allow(handle, Path(path), allowed & files)
        for port in ports if network else ():
            _add(handle, _NET_PORT, _Port(network, port))
        _call(_RESTRICT_SELF, ctypes.c_int(handle), ctypes.c_uint32(0))
    finally:
        os.close(handle)


def _handled(known: int) -> tuple[int, int, int]:
    files = (1 << 13) - 1
    files |= sum(right for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)) if known >= since)
    network = _BIND_TCP | _CONNECT_TCP if known >= 4 else 0
    return files, network, _ABSTRACT_SOCKETS | _SIGNALS if known >= 6 else 0


def _size(known: int) -> int:
    """Bytes of the ruleset that this version knows."""
    return 24 if known >= 6 else 16 if known >= 4 else 8


def _allow(handle: int, path: Path, allowed: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(parent).st_mode)
        _add(handle, _PATH_BENEATH, _Beneath(allowed if is_folder else allowed & _OF_FILES, parent))
    finally:
        os.close(parent)


def _add(handle: int, kind: int, rule: ctypes.Structure) -> None:
    _call(_ADD_RULE, ctypes.c_int(handle), ctypes.c_int(kind), ctypes.byref(rule), ctypes.c_uint32(0))


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    found = int(libc.syscall(number, *arguments))
    if found < 0:
        raise OSError(ctypes.get_errno(), "Landlock refused")
    return found
