"""How a pipeline stands: read from the lake's manifests and the registry alone, so that it costs milliseconds.

Counts, verdicts and reasons only; no rows are opened.
"""

from collections.abc import Mapping
from typing import Any

from kedge.errors import Tampered, Terminal
from kedge.lake import ALL, Dataset, Version
from kedge.registry.decision import Champion, Decision
from kedge.registry.store import Registry
from kedge.spec import Declaration
from kedge.workspace import Workspace

METRICS = (
    "auc", "log_loss", "brier", "calibration_error", "accuracy", "precision", "recall",
    "r2", "rmse", "mae", "deviance_gain", "poisson_deviance",
)  # fmt: skip


def status(ws: Workspace, declaration: Declaration) -> dict[str, Any]:
    """The pipeline as JSON.

    Returns:
        `pipeline`; `champion` (None before the first): `model`, `since`, `nights` (first, last, count), `cause`,
        `trigger`, `reason`, `stale` (nights it was trained on whose rows another version has replaced since; None when
        its training set has gone), `metrics` by set (`recent`, `trusted`) as `{metric: {value, low, high}}`;
        `partitions`, oldest first, as in `_partition`; `decisions`, oldest first: `action`, `reason`, `trigger`,
        `cause`, `model`, `at`.

    Raises:
        Tampered: a manifest, a pointer or a decision is not what was written.
    """
    registry = Registry.open(ws, declaration.name)
    history, champion = registry.history(), registry.champion()
    raw = ws.dataset(declaration.name, "raw")
    return {
        "pipeline": declaration.name,
        "champion": _champion(ws, declaration, champion, history) if champion else None,
        "partitions": [_partition(ws, declaration, partition) for partition in raw.partitions()],
        "decisions": [_decision(decision) for decision in history],
    }


def _champion(ws: Workspace, declaration: Declaration, champion: Champion, history: list[Decision]) -> dict[str, Any]:
    promoted = next(d for d in reversed(history) if d.promoted and d.model == champion.model)
    nights = sorted(champion.nights)
    return {
        "model": champion.model,
        "since": champion.since,
        "nights": {"first": nights[0], "last": nights[-1], "count": len(nights)} if nights else None,
        "cause": champion.cause,
        "trigger": champion.trigger,
        "reason": promoted.reason,
        "stale": _stale(ws, declaration, champion.model),
        "metrics": _metrics(ws, declaration, champion.evaluation),
    }


def _stale(ws: Workspace, declaration: Declaration, model: str) -> list[str] | None:
    """Nights whose anonymized rows are not those any more that the model was trained on."""
    training_set, model_dataset, anonymized = (
        ws.dataset(declaration.name, name) for name in ("training_set", "model", "anonymized")
    )
    try:
        inputs = model_dataset.version(ALL, model).manifest.inputs
        nights = training_set.version(ALL, inputs["training_set"]).manifest.notes["nights"]
    except Tampered:
        raise
    except Terminal:
        return None
    current = {night: anonymized.current(night) for night in sorted(nights)}
    return [night for night, version in current.items() if version is None or version.id != nights[night]]


def _metrics(ws: Workspace, declaration: Declaration, evaluation: str) -> dict[str, Any]:
    """Figures by set of the evaluation that let the champion through; empty when retention has removed it."""
    try:
        notes = ws.dataset(declaration.name, "evaluation").version(ALL, evaluation).manifest.notes
    except Terminal:
        return {}
    return {
        rows: {metric: figures["challenger"][metric] for metric in METRICS if metric in figures.get("challenger", {})}
        for rows, figures in notes["sets"].items()
    }


def _partition(ws: Workspace, declaration: Declaration, partition: str) -> dict[str, Any]:
    """One night.

    Returns:
        `partition`; `rows_in` of the delivery; `quarantined`, `masked`, `dropped`, `released` rows, None where the
        night did not come so far; `labelled`: rows whose outcome has arrived since, None while there are no labels of
        this delivery; `blocked`: which dataset held it up and why, None when nothing did; `drift`:
        `drifted`, `reason`, `champion` and the names of drifted `columns`, None without a report on these rows.
    """
    raw, validated, anonymized, drift = (
        ws.dataset(declaration.name, name) for name in ("raw", "validated", "anonymized", "drift_report")
    )
    delivery = raw.current(partition)
    assert delivery is not None  # partitions() lists those with a current version
    contract, held_up = _made_of(validated, delivery, "raw")
    border = None
    if contract is not None and contract.manifest.released:
        border, held_up = _made_of(anonymized, contract, "validated")
    return {
        "partition": partition,
        "rows_in": delivery.manifest.rows,
        "quarantined": _fact(contract, "quarantined"),
        "masked": _fact(border, "masked_rows"),
        "dropped": _fact(border, "dropped_rows"),
        "released": border.manifest.rows if border and border.manifest.released else None,
        "labelled": _labelled(ws, declaration, delivery),
        "blocked": held_up,
        "drift": _drift(drift.current(partition), border),
    }


def _made_of(dataset: Dataset, source: Version, role: str) -> tuple[Version | None, dict[str, str] | None]:
    """The version made of `source`, current or the last attempt, and why it is not current if it failed."""
    current = dataset.current(source.partition)
    if current is not None and current.manifest.inputs[role] == source.id:
        return current, None
    for attempt in reversed(dataset.attempts(source.partition)):
        manifest = attempt.manifest
        if manifest.inputs[role] == source.id:
            held_up = None if manifest.released else {"dataset": dataset.name, "reason": manifest.reason or ""}
            return attempt, held_up
    return None, None


def _labelled(ws: Workspace, declaration: Declaration, delivery: Version) -> int | None:
    if not declaration.late:
        return None
    labels = ws.dataset(declaration.name, "labels").current(delivery.partition)
    return labels.manifest.rows if labels and labels.manifest.notes["raw"] == delivery.id else None


def _fact(version: Version | None, name: str) -> Any:
    return version.manifest.facts.get(name) if version else None


def _drift(report: Version | None, border: Version | None) -> dict[str, Any] | None:
    if report is None or border is None or report.manifest.inputs["anonymized"] != border.id:
        return None  # none, or one about rows that another delivery has replaced
    notes: Mapping[str, Any] = report.manifest.notes
    return {
        "drifted": notes["drifted"],
        "reason": notes["reason"],
        "champion": notes["champion"],
        "columns": [name for name, column in notes["columns"].items() if column["drifted"]],
    }


def _decision(decision: Decision) -> dict[str, Any]:
    kept = ("action", "reason", "trigger", "cause", "model", "at")
    return {name: getattr(decision, name) for name in kept}
