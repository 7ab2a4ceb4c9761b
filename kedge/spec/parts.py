"""Which settings a stage's stored version depends on.

A version id is a digest of what went in; what came in from the stage before is covered by that version's id. So a
part holds only what the stage itself reads, and a change of a gate leaves stored rows valid. Defaults are left out.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kedge.spec.columns import Column
from kedge.spec.labels import LABELS, contract

if TYPE_CHECKING:
    from kedge.spec.declaration import Declaration

_CONTRACT = {"type", "values", "aliases", "min", "max", "unique", "nulls", "format", "from_"}
_BORDER = {"type", "role", "privacy", "quasi", "domain"}


def is_feature(column: Column) -> bool:
    """Whether the model sees a released column."""
    if column.role is not None or column.from_ == LABELS:
        return False
    if column.feature is not None:
        return column.feature
    return column.treatment not in ("token", "redact") and not column.protected


def stated(declaration: "Declaration") -> dict[str, Any]:
    """All settings that differ from their default; columns as a list, for their order counts."""
    settings: dict[str, Any] = declaration.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    settings["columns"] = _columns(declaration, None)
    evaluation = settings.pop("evaluation", {})
    if evaluation.get("by") == ("subject" if declaration.subject else "blocks"):
        del evaluation["by"]  # filled in; what it depends on is in the columns
    return settings | ({"evaluation": evaluation} if evaluation else {})


def _columns(declaration: "Declaration", keys: set[str] | None) -> list[list[Any]]:
    return [
        [name, column.model_dump(mode="json", include=keys, exclude_defaults=True, by_alias=True)]
        for name, column in declaration.columns.items()
    ]


def _raw(declaration: "Declaration") -> dict[str, Any]:
    settings = stated(declaration)
    source = {key: value for key, value in settings["source"].items() if key not in ("files", "after")}
    part: dict[str, Any] = {"source": source} if source else {}
    if not declaration.source.header:
        part["columns"] = list(declaration.delivered)
    if declaration.source.replay is not None:
        part["start"] = settings["partitions"]["start"]
    if (column := declaration.source.date_column) is not None:
        part["date"] = [declaration.columns[column].type, declaration.partitions.timezone]
    return part


def _validated(declaration: "Declaration") -> dict[str, Any]:
    columns = _columns(declaration.delivery, _CONTRACT)
    for name, stated in columns:
        if declaration.columns[name].privacy is not None:
            stated["treated"] = True  # looks at whether it is, not how: validation searches the others for patterns
    return {"columns": columns} | _sections(declaration, "quarantine_at_most")


def _labels(declaration: "Declaration") -> dict[str, Any]:
    file = contract(declaration)
    return _validated(file) | {"on": [name for name in file.columns if name not in declaration.late]}


def _anonymized(declaration: "Declaration") -> dict[str, Any]:
    return {"columns": _columns(declaration.delivery, _BORDER)} | _sections(declaration, "privacy")


def _training_set(declaration: "Declaration") -> dict[str, Any]:
    evaluation = {key: getattr(declaration.evaluation, key) for key in ("holdout", "by")}
    part = {
        "subject": declaration.subject,
        "target": declaration.target,
        "window": declaration.training.window,
        "evaluation": evaluation,
        "columns": _columns(declaration.delivery, _BORDER),
    } | _sections(declaration, "privacy")  # it names the plan, which knows k
    if declaration.evaluation.by == "features":
        part["features"] = list(declaration.features)
    return part


def _model(declaration: "Declaration") -> dict[str, Any]:
    training = stated(declaration).get("training", {})
    training.pop("window", None)  # decides over the training set, which is an input
    return _features(declaration) | {"training": training}


def _features(declaration: "Declaration") -> dict[str, Any]:
    found: dict[str, Any] = {
        "features": [[name, declaration.feature_kind(name)] for name in declaration.features],
        "target": declaration.target,
    }
    if declaration.task == "binary":
        return found | {"positive": declaration.positive}
    return found | {"task": declaration.task, "exposure": declaration.exposure}


def _evaluation(declaration: "Declaration") -> dict[str, Any]:
    return _features(declaration) | _sections(declaration, "evaluation", "gates", "champion")


def _champion(declaration: "Declaration") -> dict[str, Any]:
    return _sections(declaration, "gates", "champion")


def _predictions(declaration: "Declaration") -> dict[str, Any]:
    return {"subject": declaration.subject, "columns": _columns(declaration.delivery, _BORDER)}


def _drift_report(declaration: "Declaration") -> dict[str, Any]:
    drift = stated(declaration).get("drift", {})
    drift.pop("patience", None)  # the sensor's business, not the report's
    return _features(declaration) | {"drift": drift}


def _sections(declaration: "Declaration", *names: str) -> dict[str, Any]:
    settings = stated(declaration)
    return {name: settings[name] for name in names if name in settings}


_PARTS: dict[str, Callable[["Declaration"], dict[str, Any]]] = {
    "raw": _raw,
    "validated": _validated,
    "quarantine": _validated,
    "labels_raw": _raw,  # asked of what `labels.contract` gives
    "labels": _labels,
    "labels_quarantine": _labels,
    "anonymized": _anonymized,
    "training_set": _training_set,
    "model": _model,
    "evaluation": _evaluation,
    "champion": _champion,
    "predictions": _predictions,
    "predictions_restricted": _predictions,
    "drift_report": _drift_report,
}


def part(declaration: "Declaration", stage: str) -> dict[str, Any]:
    """The part of `stage`.

    Raises:
        ValueError: unknown stage.
    """
    if stage not in _PARTS:
        raise ValueError(f"stage: needs one of {', '.join(_PARTS)}; got {stage!r}. Correct the caller.")
    return _PARTS[stage](declaration)
