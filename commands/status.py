"""`kedge status`: how a pipeline stands, as tables for people and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from kedge.settings import Settings
from kedge.spec import load
from kedge.status import status
from kedge.workspace import Workspace

NIGHTS_SHOWN = 31
STALE_NAMED = 10


def show(settings: Settings, pipeline: str, report: Path | None, console: Console) -> None:
    """Print the status of `pipeline`; with `report`, also write it there as JSON."""
    declaration = load(settings.pipelines / pipeline / "defs.yaml")
    found = status(Workspace.open(settings), declaration)
    for part in render(found):
        console.print(part)
    if report is not None:
        report.write_text(json.dumps(found, indent=2) + "\n")


def render(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Champion, nights and decisions of `kedge.status.status`."""
    yield from _champion(found["pipeline"], found["champion"])
    yield _nights(found["partitions"])
    yield _decisions(found["decisions"])


def _champion(pipeline: str, champion: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    if champion is None:
        yield Text(f"{pipeline}: no champion yet; kedge run {pipeline} --job retrain trains the first one")
        return
    nights = champion["nights"]
    window = f", trained on {nights['count']} nights ({nights['first']} to {nights['last']})" if nights else ""
    yield Text(f"{pipeline}: champion {champion['model']} since {champion['since']}{window}")
    yield Text(f"Why: {champion['reason']} (asked for by {champion['trigger']}, cause: {champion['cause']})")
    if champion["stale"]:
        yield Text(_stale(champion["stale"]), style="yellow")
    if champion["metrics"]:
        yield _metrics(champion["metrics"])


def _stale(nights: Sequence[str]) -> str:
    named = ", ".join(nights[:STALE_NAMED]) + (" ..." if len(nights) > STALE_NAMED else "")
    return f"Stale: trained on an older version of {len(nights)} night(s): {named}"


def _metrics(metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Table:
    table = Table("metric", *metrics, title="At its promotion, with 95 % intervals")
    for name in next(iter(metrics.values()), {}):
        table.add_row(name, *(_interval(figures.get(name)) for figures in metrics.values()))
    return table


def _interval(figure: Mapping[str, float] | None) -> str:
    if figure is None or figure["value"] is None:
        return "not measured"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"


def _nights(partitions: list[Mapping[str, Any]]) -> Table:
    shown = partitions[-NIGHTS_SHOWN:]
    title = f"Nights ({len(shown)} of {len(partitions)})"
    counted = ["rows_in", "quarantined", "masked", "dropped"]
    if any(night["labelled"] is not None for night in shown):
        counted.append("labelled")
    table = Table("night", *(name.replace("_", " ") for name in counted), "verdict", title=title)
    for night in shown:
        counts = (_count(night[name]) for name in counted)
        table.add_row(night["partition"], *counts, _verdict(night))
    return table


def _verdict(night: Mapping[str, Any]) -> Text:
    if night["blocked"]:
        return Text(f"{night['blocked']['dataset']}: {night['blocked']['reason']}", style="red")
    if night["drift"] is None:
        return Text("not judged")
    if night["drift"]["drifted"]:
        return Text(night["drift"]["reason"], style="yellow")
    return Text("quiet", style="green")


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _decisions(decisions: list[Mapping[str, Any]]) -> Table:
    table = Table("night", "decision", "asked for by", "reason", title="Promotions and refusals")
    for past in decisions:
        style = "green" if past["action"] == "promote" else "red"
        table.add_row(past["at"], Text(past["action"], style=style), past["trigger"], Text(past["reason"]))
    return table
