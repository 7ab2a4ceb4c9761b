"""`kedge audit`: is the log what was signed, a proof about it, what it says, and the key that verifies it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kedge.audit.anchor import open_anchor
from kedge.audit.checkpoint import Checkpoint, parse_signed, parse_verifier_key
from kedge.audit.proof import prove as proof_of
from kedge.audit.select import Choice, select
from kedge.audit.signer import Signer
from kedge.audit.verify import LogTampered, Verified
from kedge.audit.verify import verify as verify_log
from kedge.errors import Tampered, Terminal
from kedge.settings import Settings
from kedge.settle import settle
from kedge.spec import check_name, load
from kedge.workspace import Workspace

SHOWN = 200
"""Entries in the table, the newest; `--json` has all of them."""

_PLACE = ("zone", "dataset", "partition", "version")
_COMMON = {
    *_PLACE,
    "time",
    "action",
    "phase",
    "actor",
    "run",
    "process",
    "why",
    "pipeline",
    "code",
    "config",
    "of",
    "result",
}
_QUIET = {"content_digest", "sequence", "predecessor", "released", "record", "recovered", "vkey"}
"""Facts that the table leaves to `--json`."""

_RESULTS = {
    "done": "green",
    "failed": "red",
    "conflict": "yellow",
    "refused": "yellow",
    "open": "yellow",
    "unknown": "yellow",
}
_SHORT = 9
"""Characters of a version or a digest that the table shows; `--version` takes the beginning of one."""

_WIDE = 120
"""Columns of a terminal from which on the table shows seconds and why."""


def verify(settings: Settings, pipeline: str, vkey: str | None, report: Path | None, console: Console) -> None:
    """Read the whole log of a pipeline and compare it with its checkpoints and those of the declared anchor.

    With a pinned key nothing else is needed and nothing is written. Without one, the key is the installation's own;
    and once the log is known to be sound, changes that were cut off get their outcome (`kedge.settle`).

    Raises:
        LogTampered: names the first bad entry.
        Terminal: there is no log.
    """
    folder = _folder(settings, pipeline)
    ws = Workspace.open(settings) if vkey is None else None
    key = _own_key(ws, pipeline) if ws else _checked(str(vkey))
    anchors = _anchors(settings, pipeline, key)
    try:
        found = verify_log(folder, key, anchors or ())
    except LogTampered as error:
        _write(report, {"pipeline": pipeline, "tampered": error.kind, "entry": error.entry, "end": error.end})
        raise
    for line in _sentences(pipeline, found, anchors):
        console.print(line, soft_wrap=True, highlight=False)
    settled = _settle(ws, pipeline, key, console) if ws else 0
    facts = {"size": found.size, "root": found.root.hex(), "signed": found.signed_size, "settled": settled}
    anchored = None if anchors is None else found.anchored_size
    _write(report, {"pipeline": pipeline, "tampered": None, "key": key, "anchored": anchored, **facts})


def prove(
    settings: Settings, pipeline: str, number: int, since: int | None, out: Path | None, console: Console
) -> None:
    """Write a proof for one entry to `out`, or print it; `tools/verify.py proof` checks it."""
    _folder(settings, pipeline)
    with closing(Workspace.open(settings).trail) as trail:
        proof = json.dumps(proof_of(trail.log(pipeline), number, since), indent=1, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(proof, nl=False)
    else:
        out.write_text(proof)
        console.print(f"{out}: proves entry {number}; check it: tools/verify.py proof {out} --key VKEY", soft_wrap=True)


def show(settings: Settings, pipeline: str, choice: Choice, report: Path | None, console: Console) -> None:
    """Print a table of the entries that fit, the newest ones; with `report`, write all of them there as JSON."""
    found = list(select(_folder(settings, pipeline), choice))
    console.print(_table(found, wide=console.width >= _WIDE) if found else f"{pipeline}: no entry fits")
    if len(found) > SHOWN:
        console.print(f"the last {SHOWN} of {len(found)} entries; --json has all of them")
    console.print(f"as it stands: whether somebody changed it, kedge audit verify {pipeline} tells", soft_wrap=True)
    _write(report, [{"entry": number, **entry} for number, entry in found])


def key(settings: Settings, pipeline: str) -> None:
    """Print the verifier key, alone, so that it can be piped into a file."""
    _folder(settings, pipeline)
    typer.echo(_own_key(Workspace.open(settings), pipeline))


def _folder(settings: Settings, pipeline: str) -> Path:
    """Where the log lies.

    Raises:
        Terminal: nothing was ever logged; a lake that is missing is not made, as opening it would.
    """
    folder = settings.audit / check_name("pipeline", pipeline)
    if folder.is_dir():
        return folder
    remedy = f"Look at the name and at KEDGE_HOME, or run a night: kedge run {pipeline} --partition YYYY-MM-DD."
    raise Terminal(f"audit/{pipeline}", need="the log of a pipeline that ran", got="no log", remedy=remedy)


def _checked(vkey: str) -> str:
    try:
        parse_verifier_key(vkey)
    except Tampered as error:
        remedy = "Give it as kedge audit key printed it."
        raise Terminal("--key", need=error.need, got=error.got, remedy=remedy) from None
    return vkey


def _own_key(ws: Workspace, pipeline: str) -> str:
    """The verifier key of the signer in the key ring, not what the log's folder says."""
    return Signer.open(ws.settings.audit / pipeline, pipeline, ws.lake.id, ws.lake.keys).vkey


def _anchors(settings: Settings, pipeline: str, key: str) -> list[Checkpoint] | None:
    """The checkpoints in the second place that the declaration names; None if it names none."""
    url = load(settings.pipelines / pipeline / "defs.yaml").audit.anchor
    if url is None:
        return None
    origin, _ = parse_verifier_key(key)
    try:
        return [parse_signed(text, key) for text in open_anchor(url, origin=origin, home=settings.home).all()]
    except Tampered as error:
        raise error.of("anchor") from None


def _sentences(pipeline: str, found: Verified, anchors: list[Checkpoint] | None) -> Iterator[Text]:
    yield Text(f"{pipeline}: {found.size} entries, nothing was changed", style="green")
    yield Text(f"signed: the first {found.signed_size}" + ("" if found.unsigned_tail else ", which is all of them"))
    if anchors is None:
        yield Text("anchored: nowhere; an older copy put back with its checkpoints could not be told", style="yellow")
    else:
        yield Text(f"anchored: the first {found.anchored_size}, by {len(anchors)} checkpoints kept elsewhere")


def _settle(ws: Workspace, pipeline: str, key: str, console: Console) -> int:
    with closing(ws.trail):
        settled = settle(ws, pipeline)
    if settled:
        console.print(f"cut off, and their outcome added now: {settled}")
    console.print(f"key: this installation's own, {key}", soft_wrap=True, highlight=False)
    console.print("Keep it elsewhere and give it as --key: whoever replaces the log can replace its key.")
    return settled


def _write(report: Path | None, facts: Any) -> None:
    if report is not None:
        report.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def _table(found: Sequence[tuple[int, Mapping[str, Any]]], *, wide: bool) -> Table:
    """A row per entry; an intent and its outcome share one."""
    table = Table("entry", box=None, pad_edge=False)
    table.add_column("time (UTC)", no_wrap=True, min_width=19 if wide else 16)
    table.add_column("action", no_wrap=True)
    table.add_column("what", overflow="fold", min_width=16)
    table.add_column("who")
    if wide:
        table.add_column("why", no_wrap=True, overflow="ellipsis", max_width=24)
    table.add_column("result", no_wrap=True, min_width=8)
    shown = found[-SHOWN:]
    intents = {number for number, entry in shown if entry.get("phase") == "intent"}
    outcomes = {entry["of"]: entry for _, entry in shown if entry.get("of") in intents}
    for number, entry in shown:
        if entry.get("of") not in intents:
            time = Text(str(entry["time"])[: 19 if wide else 16].replace("T", " "), no_wrap=True)
            why = [str(entry.get("why") or "")] if wide else []
            outcome = outcomes.get(number, entry)
            what = _what({**entry, **{name: fact for name, fact in outcome.items() if name not in _COMMON}})
            table.add_row(str(number), time, str(entry.get("action")), what, _who(entry), *why, _result(outcome))
    return table


def _what(entry: Mapping[str, Any]) -> str:
    """The place that it is about, and what only this action tells."""
    if "of" in entry:
        return f"outcome of {entry['of']}"
    names = ("dataset", "partition", "version") if entry.get("dataset") else ("zone", "kek")
    place = [_short(entry[name]) for name in names if entry.get(name)]
    told = {name: fact for name, fact in entry.items() if name not in _COMMON | _QUIET and fact is not None}
    told = {name: fact for name, fact in told.items() if name not in names}
    facts = [f"{name} {_short(fact)}" for name, fact in told.items() if not isinstance(fact, bool | dict | list)]
    facts += [name.replace("_", " ") for name, fact in told.items() if fact is True]
    if entry.get("released") is False:
        facts.append("not released")
    return ", ".join([*([" ".join(place)] if place else []), *facts])


def _who(entry: Mapping[str, Any]) -> str:
    run = entry.get("run")
    return f"{entry.get('actor', {}).get('name')}{f' {str(run)[:8]}' if run else ''}"


def _result(entry: Mapping[str, Any]) -> Text:
    """Of an outcome; an intent that comes without one is open."""
    result = "open" if entry.get("phase") == "intent" else str(entry.get("result") or "")
    return Text(result + (" (recovered)" if entry.get("recovered") else ""), style=_RESULTS.get(result, ""))


def _short(fact: Any) -> str:
    text = str(fact)
    return text if len(text) <= 2 * _SHORT else text[:_SHORT]
