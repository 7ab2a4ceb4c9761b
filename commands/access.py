"""`kedge audit anchor` and `kedge audit unusual`: the log's second place, and what is read out of it."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kedge.audit.access import every
from kedge.audit.anchor import same_disk
from kedge.audit.anchored import anchored, keep
from kedge.audit.trail import Trail
from kedge.errors import Terminal
from kedge.settings import Settings
from kedge.spec import Declaration, load


def anchor(settings: Settings, pipeline: str, console: Console) -> None:
    """Keep a checkpoint of the whole log in the place that the declaration names, now.

    Raises:
        Terminal: no anchor is declared, there is no log, or the place refuses.
        Transient: the place does not answer.
        Tampered: it holds another history of this log.
    """
    declaration = _declared(settings, pipeline)
    url = declaration.audit.anchor
    if url is None:
        need, remedy = "a second place for checkpoints", 'Write audit: {anchor: "/mnt/worm/kedge"}, for instance.'
        raise Terminal("audit.anchor", need=need, got="none", remedy=remedy)
    _require(settings, pipeline)
    from kedge.workspace import Workspace

    with closing(Workspace.open(settings).trail) as trail:
        keep(trail, declaration, settings.home, required=True)
        console.print(f"{pipeline}: {trail.log(pipeline).size} entries are anchored in {url}", soft_wrap=True)
    warn(settings, declaration, console)


def unusual(settings: Settings, pipeline: str, since: str | None, report: Path | None, console: Console) -> None:
    """Print what the declared rules find in the whole log, or from a local day on; with `report`, write it as JSON.

    Raises:
        Terminal: `since` is no date, or there is no log.
        Tampered: a line of the log is no entry.
    """
    declaration = _declared(settings, pipeline)
    _require(settings, pipeline)
    found = list(every(settings.audit / pipeline, declaration, _day(since)))
    table = Table("day", "rule", "who", "what", "entries", title=f"{pipeline}: {len(found)} unusual")
    for alert in found:
        entries = f"{alert.first}-{alert.last}" if alert.first < alert.last else str(alert.last)
        table.add_row(alert.day, alert.rule, alert.identity, alert.what, entries)
    console.print(table if found else f"{pipeline}: nothing unusual")
    if report is not None:
        report.write_text(json.dumps([alert.to_json() for alert in found], indent=2) + "\n")


def warn(settings: Settings, declaration: Declaration, console: Console) -> None:
    """Say so where the anchor is a folder of the very disk that holds the log."""
    url = declaration.audit.anchor
    if url is not None and same_disk(url, settings.home):
        console.print(
            f"[yellow]warning[/] {declaration.name}: audit.anchor is on the disk of KEDGE_HOME", soft_wrap=True
        )


@contextmanager
def witnessed(settings: Settings, pipeline: str, trail: Trail) -> Iterator[None]:
    """Stand around a command that changes keys, as around a stage; a pipeline no longer declared names no anchor.

    Raises:
        as `kedge.audit.anchored.anchored`.
    """
    if not (settings.pipelines / pipeline / "defs.yaml").is_file():
        yield
        return
    with anchored(trail, _declared(settings, pipeline), settings.home):
        yield


def _declared(settings: Settings, pipeline: str) -> Declaration:
    return load(settings.pipelines / pipeline / "defs.yaml")


def _require(settings: Settings, pipeline: str) -> None:
    if not (settings.audit / pipeline).is_dir():
        remedy = f"Look at KEDGE_HOME, or run a night: kedge run {pipeline} --partition YYYY-MM-DD."
        raise Terminal(f"audit/{pipeline}", need="the log of a pipeline that ran", got="no log", remedy=remedy)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise Terminal("--since", need="a day", got="another text", remedy="Write it as 2026-01-31.") from None
