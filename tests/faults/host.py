"""A process with the heavy libraries loaded that forks one for each job: starting Python anew for each takes 10 s.

Jobs come as lines of JSON and are answered as such: `folder` to work in, `log` for what is printed, `fault` for
`KEDGE_FAULT`, `copy` of the folder to begin with; the rest is for the job itself. No thread is started before a fork.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kedge import faults
from resources.runhost import HEAVY, preload

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def serve(answer: Answer, modules: Sequence[str], copied: Callable[[Path, Path], Any] | None = None) -> None:
    """Answer jobs until the input ends: exit code, whether SIGKILL ended it, and what the job itself told."""
    preload([*HEAVY, *modules])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        if copied and job.get("copy"):
            copied(Path(job["copy"]), Path(job["folder"]))
        code, told = _forked(answer, job)
        print(json.dumps({"code": code, "killed": code == -signal.SIGKILL, **told}), flush=True)


def _forked(answer: Answer, job: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            os.setsid()
            code = _child(answer, job, writing)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(told or "{}")


def _child(answer: Answer, job: dict[str, Any], writing: int) -> int:
    """In a process of its own: the job with its fault, its answer, its exit code."""
    temporary = Path(job["folder"]) / "temporary"
    temporary.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(temporary)
    os.environ[faults.VARIABLE] = job.get("fault") or ""
    said = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)
    found: dict[str, Any]
    try:
        found, code = answer(job), 0
    except Exception as error:
        traceback.print_exc()
        found, code = {"error": type(error).__name__, "said": str(error)}, 1
    sys.stdout.flush()
    with os.fdopen(writing, "w") as stream:
        json.dump(found, stream)
    return code
