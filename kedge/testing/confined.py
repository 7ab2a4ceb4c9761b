"""A process without privileges, also where tests run as root: there, modes of files would mean nothing."""

import ctypes
import json
import os
from collections.abc import Callable
from typing import Any

_VERSION = 0x20080522  # of the two structures below: _LINUX_CAPABILITY_VERSION_3, capset(2)


def without_privileges(look: Callable[[], Any]) -> Any:
    """What `look` answers (JSON) in a forked process that has no capability, as every other user's has none.

    Raises:
        RuntimeError: the process did not answer.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _drop()
            os.write(writing, json.dumps(look()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the process without privileges did not answer")
    return json.loads(told)


def _drop() -> None:
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")
