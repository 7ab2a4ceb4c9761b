"""System calls that Landlock does not judge: sockets other than TCP, and a file's mode, owner and attributes.

A seccomp filter (https://docs.kernel.org/userspace-api/seccomp_filter.html), in the kernel's own small language. It
judges numbers only, so it says which kind of socket may exist; which port it reaches is Landlock's.
"""

import ctypes
import errno
import platform
import socket
import struct
from collections.abc import Mapping
from types import MappingProxyType

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AND, _AT_LEAST, _SOME_BITS, _ANSWER = 0x20, 0x15, 0x54, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_MSG_FASTOPEN = 0x20000000
_KIND = 0xF  # the rest of a socket's type are flags
_IO_URING_SETUP = 425

_SOCKET = "socket"
_FLAGS_AT = MappingProxyType({"sendto": 3, "sendmsg": 2, "sendmmsg": 3})
_MACHINES: Mapping[str, tuple[int, Mapping[str, int]]] = MappingProxyType(
    {
        "x86_64": (0xC000003E, {_SOCKET: 41, "sendto": 44, "sendmsg": 46, "sendmmsg": 307}),
        "aarch64": (0xC00000B7, {_SOCKET: 198, "sendto": 206, "sendmsg": 211, "sendmmsg": 269}),
    }
)
_CHANGES_MODE = MappingProxyType(
    {
        # chmod, fchmod, chown, fchown, lchown, setxattr and its two siblings, fchownat, fchmodat, fchmodat2, setxattrat
        "x86_64": (90, 91, 92, 93, 94, 188, 189, 190, 260, 268, 452, 463),
        # setxattr and its two siblings, fchmod, fchmodat, fchownat, fchown, fchmodat2, setxattrat
        "aarch64": (5, 6, 7, 52, 53, 54, 55, 452, 463),
    }
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def can_filter() -> bool:
    """Whether the kernel takes such a filter, and this machine's system calls are known here."""
    libc = ctypes.CDLL(None, use_errno=True)
    refused = libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return platform.machine() in _MACHINES and refused == -1 and ctypes.get_errno() == errno.EFAULT


def refuse() -> None:
    """Refuse them to this thread and whatever it executes, for ever; needs PR_SET_NO_NEW_PRIVS.

    Pairs of connected sockets, which lead nowhere else, may be made. A message that opens a connection (TCP fast open)
    and io_uring, which makes sockets unseen, are refused, too.

    Raises:
        OSError: the kernel refused.
    """
    steps = program(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    found = _Program(len(steps) // 8, steps)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(found), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp refused")


def program(machine: str) -> bytes:
    """The filter for a machine, 8 bytes a step."""
    architecture, numbers = _MACHINES[machine]
    no_family, unknown, forbidden, allow = "no_family", "unknown", "forbidden", "allow"
    steps: list[tuple[int, int, str | None, str | None]] = [
        (_LOAD, _ARCHITECTURE, None, None),
        (_EQUAL, architecture, None, unknown),
        (_LOAD, _NUMBER, None, None),
        (_AT_LEAST, _X32, unknown, None),
        (_EQUAL, _IO_URING_SETUP, unknown, None),
        *((_EQUAL, number, forbidden, None) for number in _CHANGES_MODE[machine]),
        (_EQUAL, numbers[_SOCKET], _SOCKET, None),
        *((_EQUAL, numbers[name], name, None) for name in _FLAGS_AT),
        (_ANSWER, _ALLOW, None, None),
    ]
    labels = {}
    for name, place in _FLAGS_AT.items():
        labels[name] = len(steps)
        steps += [(_LOAD, _argument(place), None, None), (_SOME_BITS, _MSG_FASTOPEN, no_family, allow)]
    labels[_SOCKET] = len(steps)
    steps += [
        (_LOAD, _argument(0), None, None),
        (_EQUAL, socket.AF_INET, "kind", None),
        (_EQUAL, socket.AF_INET6, None, no_family),
    ]
    labels["kind"] = len(steps)
    steps += [
        (_LOAD, _argument(1), None, None),
        (_AND, _KIND, None, None),
        (_EQUAL, socket.SOCK_STREAM, None, no_family),
        (_LOAD, _argument(2), None, None),
        (_EQUAL, 0, allow, None),
        (_EQUAL, socket.IPPROTO_TCP, allow, no_family),
    ]
    errors = {no_family: errno.EAFNOSUPPORT, unknown: errno.ENOSYS, forbidden: errno.EPERM}
    for name, answer in {allow: _ALLOW, **{name: _ERRNO | number for name, number in errors.items()}}.items():
        labels[name] = len(steps)
        steps.append((_ANSWER, answer, None, None))
    return b"".join(_packed(at, step, labels) for at, step in enumerate(steps))


def _argument(place: int) -> int:
    """Where the lower half of a system call's argument stands."""
    return _ARGUMENTS + 8 * place


def _packed(at: int, step: tuple[int, int, str | None, str | None], labels: Mapping[str, int]) -> bytes:
    code, value, if_true, if_false = step
    jumps = (0 if label is None else labels[label] - at - 1 for label in (if_true, if_false))
    return struct.pack("<HBBI", code, *jumps, value)
