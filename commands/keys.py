"""`kedge keys`: which key-encryption keys there are; rotating and destroying them."""

import json
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from commands.access import witnessed
from kedge.errors import Terminal
from kedge.keys import Kek, KeyRing, Unlocking
from kedge.keys.keyfile import KeyFile
from kedge.lake import rotation
from kedge.settings import Settings
from kedge.settle import settle
from kedge.spec import check_name
from kedge.workspace import Workspace


def show(settings: Settings, pipeline: str | None, report: Path | None, console: Console) -> None:
    """Print a table of the keys, of one pipeline if it is named; with `report`, also write it there as JSON."""
    ws = Workspace.open(settings)
    if pipeline is not None:
        check_name("pipeline", pipeline)
    found = ws.lake.keys.keys(pipeline)
    owners = {(kek.pipeline, kek.zone) for kek in found}
    files = {owner: rotation.needed(ws.lake, *owner, _further(ws, *owner)) for owner in owners}
    table = Table("pipeline", "zone", "key", "created", "state", "files")
    for kek in found:
        count = files[kek.pipeline, kek.zone][kek.id]
        table.add_row(kek.pipeline, kek.zone, kek.id, kek.created[:19], _state(kek), str(count))
    console.print(table if found else "no keys yet: they are made when something is stored")
    _report(report, [{**asdict(kek), "files": files[kek.pipeline, kek.zone][kek.id]} for kek in found])


def rotate(
    settings: Settings, pipeline: str, zone: str | None, report: Path | None, console: Console, *, destroy_old: bool
) -> None:
    """Rotate the key of a zone, or of every zone that has one; `destroy_old`: also destroy what it replaced."""
    ws = Workspace.open(settings)
    with closing(ws.trail), witnessed(settings, pipeline, ws.trail):
        settle(ws, pipeline)
        done = [_rotated(ws, pipeline, one, console) for one in ([zone] if zone else _zones(ws, pipeline))]
        for one in done if destroy_old else ():
            one["destroyed"] = [_destroyed(ws, kek, console) for kek in _held(ws, pipeline, one["zone"], old=True)]
    _report(report, done)
    if not destroy_old:
        console.print("the old keys still open what they wrapped: backups, and files somebody copied")


def destroy(
    settings: Settings,
    pipeline: str,
    zone: str,
    key: str | None,
    report: Path | None,
    console: Console,
    *,
    with_data: bool,
    yes: bool,
) -> bool:
    """Destroy one key, or those that were replaced, or with their data all of a zone.

    Returns:
        whether it was done; without `yes` it is only told.

    Raises:
        Terminal: something needs one of them; there is no such key; or it is the key that signs the audit trail.
    """
    ws = Workspace.open(settings)
    with closing(ws.trail), witnessed(settings, pipeline, ws.trail):
        settle(ws, pipeline)
        chosen = [kek for kek in _held(ws, pipeline, zone, old=not (with_data or key)) if key in (None, kek.id)]
        _refuse(pipeline, zone, key, chosen, with_data=with_data)
        needed = rotation.needed(ws.lake, pipeline, zone, _further(ws, pipeline, zone))
        for kek in chosen:
            _warn(ws, kek, needed[kek.id], console)
        if not yes:
            console.print("nothing was destroyed: say --yes to do it")
            return False
        gone = [_destroyed(ws, kek, console, with_data=with_data) for kek in chosen]
    _report(report, {"pipeline": pipeline, "zone": zone, "destroyed": gone})
    return True


def relock(settings: Settings, key_file: Path | None, passphrase_file: Path | None, console: Console) -> None:
    """Seal the lake's key ring under another unlocking key; each pipeline that has keys there logs it.

    Raises:
        Terminal: the keys are not in a ring; or both files are named, or one that cannot be used or is the present one.
    """
    if key_file and passphrase_file:
        need, remedy = (
            "at most one of --key-file and --passphrase-file",
            "Name one, or none for a new unlock.key.",
        )
        raise Terminal("kedge keys relock", need=need, got="both", remedy=remedy)
    ws = Workspace.open(settings)
    ring = ws.lake.keys
    if not isinstance(ring, KeyRing):
        need, remedy = "keys in a key ring", "AWS decides who may use its keys: change the policy there."
        raise Terminal("KEDGE_KEYS_PROVIDER", need=need, got="a key service", remedy=remedy)
    named = {"KEY": key_file, "PASSPHRASE": passphrase_file}
    new = Unlocking(
        key_file=key_file and key_file.absolute(), passphrase_file=passphrase_file and passphrase_file.absolute()
    )
    with closing(ws.trail), ExitStack() as held:
        for pipeline in sorted({kek.pipeline for kek in ring.keys(None)}):
            held.enter_context(witnessed(settings, pipeline, ws.trail))
            settle(ws, pipeline)
            held.enter_context(ws.trail.change(pipeline, "keys.relock", lock=ring.lock))
        ring.relock(new)
    console.print("the key ring opens with the new unlocking key only")
    for name, path in named.items():
        if path is not None:
            console.print(f"from now on: KEDGE_KEYS_{name}_FILE={path.absolute()}", highlight=False, soft_wrap=True)
    console.print("a ring copied before still opens with the old one: now rotate the keys of each pipeline")


def _rotated(ws: Workspace, pipeline: str, zone: str, console: Console) -> dict[str, Any]:
    with ws.trail.change(pipeline, "keys.rotate", zone=zone) as outcome:
        done = rotation.rotate(ws.lake, pipeline, zone, _further(ws, pipeline, zone))
        outcome |= asdict(done)
    console.print(f"{pipeline}/{zone}: now under {done.kek}; {done.rewrapped} files wrapped anew", highlight=False)
    if done.resumed:
        console.print("an earlier rotation was cut off: this one finished it and made no further key")
    if done.lost:
        console.print(f"{done.lost} files are unreadable: their key was destroyed")
    return {"pipeline": pipeline, "zone": zone, **asdict(done)}


def _destroyed(ws: Workspace, kek: Kek, console: Console, *, with_data: bool = False) -> str:
    further = _further(ws, kek.pipeline, kek.zone)
    with ws.trail.change(kek.pipeline, "keys.destroy", zone=kek.zone, kek=kek.id, with_data=with_data):
        rotation.destroy(ws.lake, kek.pipeline, kek.zone, kek.id, further, with_data=with_data)
    console.print(f"{kek.pipeline}/{kek.zone}: {kek.id} destroyed", highlight=False)
    return kek.id


def _further(ws: Workspace, pipeline: str, zone: str) -> list[KeyFile]:
    """What lies outside the lake: the key that signs the audit trail."""
    audit = zone == rotation.AUDIT
    return [rotation.audit_signer(ws.settings.audit / pipeline, pipeline)] if audit else []


def _zones(ws: Workspace, pipeline: str) -> list[str]:
    zones = sorted({kek.zone for kek in ws.lake.keys.keys(check_name("pipeline", pipeline)) if kek.current})
    if zones:
        return zones
    need, remedy = "a pipeline that has keys", "They are made when something is stored: look at `kedge keys list`."
    raise Terminal("pipeline", need=need, got="one without", remedy=remedy)


def _held(ws: Workspace, pipeline: str, zone: str, *, old: bool) -> list[Kek]:
    found = ws.lake.keys.keys(check_name("pipeline", pipeline))
    return [kek for kek in found if kek.zone == zone and not kek.destroyed and not (old and kek.current)]


def _refuse(pipeline: str, zone: str, key: str | None, chosen: list[Kek], *, with_data: bool) -> None:
    if not chosen:
        need = "a key that can be destroyed" if key is None else "a key of this zone that is not destroyed yet"
        remedy = "Look at `kedge keys list`; `kedge keys rotate` first makes the current key an old one."
        raise Terminal(f"{pipeline}/{zone}", need=need, got="none", remedy=remedy)
    if zone == rotation.AUDIT and any(kek.current for kek in chosen):
        raise Terminal(
            f"{pipeline}/{zone}",
            need="the current key that the signer of the audit trail is wrapped under",
            got="a wish to destroy it" + (" with what it wraps" if with_data else ""),
            remedy="Rotate it and destroy the old one: without a signer nothing could be done with this pipeline.",
        )


def _warn(ws: Workspace, kek: Kek, files: int, console: Console) -> None:
    what = f"{files} {'file needs' if files == 1 else 'files need'} it" if files else "nothing here needs it"
    console.print(f"{kek.pipeline}/{kek.zone}: {kek.id} ({_state(kek)}): {what}", highlight=False)
    if files and kek.zone == "restricted":
        console.print("[bold red]with it go raw data, hold-out groups and tokens: people cannot be recognised again[/]")
        if kek.id in rotation.needed_by_secrets(ws.lake, kek.pipeline):
            others = rotation.needed(ws.lake, kek.pipeline, "open").total()
            also = f"{others} {'version' if others == 1 else 'versions'} of the open zone"
            console.print(f"[bold red]and with its secrets {also}: nothing of this pipeline can be read any more[/]")
    elif files:
        console.print("[bold red]what these files hold is gone for good, here and in every backup[/]")


def _state(kek: Kek) -> str:
    if kek.destroyed:
        return f"destroyed {kek.destroyed[:19]}"
    return "current" if kek.current else "old"


def _report(report: Path | None, found: list[dict[str, Any]] | Mapping[str, Any]) -> None:
    if report is not None:
        report.write_text(json.dumps(found, indent=2) + "\n")
