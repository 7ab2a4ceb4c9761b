"""Run as a process by test_rotation: jobs as lines of JSON, each in a child of its own, each answered by one.

No polars is loaded, and what is stored is small: a rotation takes milliseconds, and so does a case.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import KedgeError
from kedge.keys import new_key
from kedge.lake import Draft, Lake, produce
from kedge.lake.rotation import audit_signer, destroy, rotate
from kedge.outcome import Findings

DAYS = ("2026-01-01", "2026-01-02")
ZONES = ("restricted", "open", "audit")
SIGNER = b"audit/bank/signer.json"


def opened(folder: Path) -> Lake:
    return Lake.open(folder / "lake", folder / "keys")


def prepare(folder: Path) -> None:
    """Two versions in each zone, a signing key, one erasure."""
    lake = opened(folder)
    for zone, name in (("restricted", "raw"), ("open", "anonymized")):
        for day in DAYS:
            dataset = lake.dataset(zone, "bank", name)  # type: ignore[arg-type]
            produce(dataset, day, inputs={}, declared={}, code=1, write=_note)
    audit = folder / "audit" / "bank"
    audit.mkdir(parents=True)
    wrapped = dict(lake.keys.wrap("bank", "audit", new_key(), SIGNER))
    (audit / "signer.json").write_text(json.dumps({"format": 1, "pipeline": "bank", "wrapped": wrapped}))
    lake.count_erasure("bank")


def _note(draft: Draft) -> Findings:
    draft.write_bytes(draft.partition.encode(), "note.txt")
    return Findings()


def turn(folder: Path, zone: str) -> None:
    """What `kedge keys rotate` and `destroy` do: a new key, and the end of all others that are not destroyed yet."""
    lake, further = opened(folder), [audit_signer(folder / "audit" / "bank", "bank")] if zone == "audit" else []
    rotate(lake, "bank", zone, further)
    for kek in lake.keys.keys("bank"):
        if kek.zone == zone and not kek.current and not kek.destroyed:
            destroy(lake, "bank", zone, kek.id, further)


def count(folder: Path, _: str) -> None:
    opened(folder).count_erasure("bank")


def state(folder: Path) -> dict[str, Any]:
    """Everything read as a reader would; raises if something does not open."""
    lake = opened(folder)
    notes = {}
    for zone, name in (("restricted", "raw"), ("open", "anonymized")):
        for day in DAYS:
            version = lake.dataset(zone, "bank", name).require(day, "")  # type: ignore[arg-type]
            version.check_whole()
            notes[version.place] = version.read_bytes("note.txt").decode()
    signer = json.loads((folder / "audit" / "bank" / "signer.json").read_bytes())["wrapped"]
    return {
        "notes": notes,
        "secrets": [getattr(lake.secrets("bank"), name).hex() for name in ("holdout", "digest", "index")],
        "signer": lake.keys.unwrap("bank", "audit", signer, SIGNER).hex(),
        "living": [kek.zone for kek in lake.keys.keys("bank") if not kek.destroyed],
        "erasures": lake.keys.erasures("bank"),
        "temporary": [path.name for path in folder.rglob(f"{durable.TEMPORARY}*")],
    }


WORK: dict[str, Callable[[Path, str], None]] = {"turn": turn, "count": count}


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    folder, do = Path(job["folder"]), job["do"]
    if do == "prepare":
        prepare(folder)
    elif do == "again":
        between = state(folder)
        WORK[job["work"]](folder, job["zone"])
        return {"between": between, "after": state(folder)}
    elif do != "state":
        WORK[do](folder, job["zone"])
        return {}
    return {"after": state(folder)}


def _child(job: dict[str, Any], writing: int) -> int:
    os.environ[faults.VARIABLE] = job.get("fault", "")
    try:
        told, code = _answer(job), 0
    except KedgeError as error:
        told, code = {"error": type(error).__name__, "said": str(error)}, 1
    with os.fdopen(writing, "w") as stream:
        json.dump(told, stream)
    return code


def _forked(job: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 2
        try:
            os.close(reading)
            code = _child(job, writing)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"code": code, "killed": code == -signal.SIGKILL, **json.loads(told or "{}")}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_forked(json.loads(line))), flush=True)
