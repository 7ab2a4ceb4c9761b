"""What launcher and run host say to each other: a JSON object each way over a Unix socket, a connection per request."""

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

CLIENT_SECONDS = 2
"""A client sends as soon as it has connected; the host serves one at a time."""
ANSWER_SECONDS = 120
"""The host may still be loading its libraries, or be ending its runs."""
REQUEST_BYTES = 64 << 20
REQUESTS = ("run", "state", "stop", "terminate")
GONE = (FileNotFoundError, ConnectionError)
"""What `ask` meets where no host is, or one that is just ending."""


class BadRequest(ValueError):
    """A request that is none; its text says what is needed and quotes nothing."""


def ask(address: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Send one JSON line to the run host and return its answer.

    Raises:
        FileNotFoundError, ConnectionError: no host there, or it ended before it answered.
        TimeoutError: it does not answer.
        RuntimeError: it did not understand.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(address))
        connection.sendall(json.dumps(request).encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    if not answer:
        raise ConnectionResetError("the run host ended before it answered; see runhost.log")
    found = cast("dict[str, Any]", json.loads(answer))
    if "error" in found:
        raise RuntimeError(f"the run host answers: {found['error']}")
    return found


def receive(connection: socket.socket) -> bytes:
    """All that the client sends until it ends its side; empty if it only looked whether a host listens.

    Raises:
        BadRequest: too much, or too slow.
        OSError: the client went away.
    """
    deadline, parts, size = time.monotonic() + CLIENT_SECONDS, [], 0
    while part := connection.recv(65_536):
        parts.append(part)
        size += len(part)
        if size > REQUEST_BYTES or time.monotonic() > deadline:
            raise BadRequest(f"needs at most {REQUEST_BYTES} bytes within {CLIENT_SECONDS} s")
    return b"".join(parts)


def parse(asked: bytes) -> dict[str, str]:
    """The request in it: `do`, and by that `run_id` and `args`.

    Raises:
        BadRequest: it holds none.
    """
    try:
        request = json.loads(asked)
    except (ValueError, RecursionError):
        raise BadRequest("needs one JSON object") from None
    if not isinstance(request, dict) or request.get("do") not in REQUESTS:
        raise BadRequest(f"needs a JSON object whose `do` is one of {', '.join(REQUESTS)}")
    needed = {"do"} if request["do"] == "stop" else {"do", "run_id"} | ({"args"} if request["do"] == "run" else set())
    if not all(isinstance(request.get(name), str) for name in needed):
        raise BadRequest(f"needs text in {', '.join(sorted(needed))}")
    return request
