"""`kedge verify`: everything stored of a pipeline, and what is wrong with it."""

import json
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from kedge.settings import Settings
from kedge.spec import load
from kedge.verification import Finding, Findings
from kedge.verification import verify as look

SHOWN = 20
"""Findings of one part that are printed; `--json` has them all."""


def verify(settings: Settings, pipeline: str, report: Path | None, console: Console) -> int:
    """Print what is wrong, the first to look at first; returns the exit code. With `report`, also write JSON there."""
    declaration = load(settings.pipelines / pipeline / "defs.yaml")
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("versions", total=None)
        found = look(settings, declaration, lambda done, total: bar.update(task, completed=done, total=total))
    for line in render(found):
        console.print(line, soft_wrap=True)
    if report is not None:
        report.write_text(json.dumps(found.to_json(), indent=2) + "\n")
    return found.code


def render(found: Findings) -> Iterator[Text]:
    """Each finding with its remedy, then what was looked at."""
    by_part: dict[str, list[Finding]] = {}
    for finding in found.found:
        by_part.setdefault(finding.part or "other", []).append(finding)
    for part, findings in by_part.items():
        yield Text(f"{part}: {len(findings)} wrong", style="bold red")
        for finding in findings[:SHOWN]:
            yield from _finding(finding)
        if len(findings) > SHOWN:
            yield Text(f"  ... and {len(findings) - SHOWN} more: --json FILE writes them all")
    yield from _summary(found)


def _finding(finding: Finding) -> Iterator[Text]:
    yield Text(f"  {finding.setting}")
    for name in ("need", "got", "remedy"):
        yield Text(f"    {name:<7}{getattr(finding, name)}", style="" if name == "got" else "dim")


def _summary(found: Findings) -> Iterator[Text]:
    files = f"{_count(found.files, 'file')}, {_size(found.size)}"
    looked = f"{_count(found.versions, 'version')} ({files}), {_count(found.pointers, 'pointer')}"
    trail = "no sound audit trail, nothing was compared with it"
    if found.entries is not None:
        anchored = f", {found.anchored} of them anchored" if found.anchored else ", none anchored"
        trail = f"{found.entries} entries of the audit trail{anchored}"
    yield Text(f"{found.pipeline}: looked at {looked}, {_count(found.decisions, 'decision')} and {trail}")
    for zone in found.given_up:
        yield Text(f"{found.pipeline}: a key of {zone} was destroyed with its data, which nobody can read any more")
    if found.found:
        yield Text(f"{found.pipeline}: {len(found.found)} wrong; exit code {found.code}", style="bold red")
    else:
        yield Text(f"{found.pipeline}: everything is what was written", style="green")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"
