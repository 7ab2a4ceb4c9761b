"""Column schema and column lineage of the stored datasets, from raw to predictions, as Dagster shows them."""

from typing import Any

import dagster as dg

from assets.attributes import key
from kedge.spec import Declaration
from kedge.spec.lag import Lag

_SCORES = {
    "binary": "probability of the positive class",
    "regression": "expected value of the target",
    "count": "expected count for the row's exposure",
}
_UPSTREAM = {"validated": "raw", "quarantine": "raw", "anonymized": "validated"}


def metadata(declaration: Declaration, dataset: str) -> dict[str, Any]:
    """`dagster/column_schema` and, where the dataset has parents, `dagster/column_lineage`."""
    found: dict[str, Any] = {"dagster/column_schema": schema(declaration, dataset)}
    if lineage := _lineage(declaration, dataset):
        found["dagster/column_lineage"] = dg.TableColumnLineage(deps_by_column=lineage)
    return found


def schema(declaration: Declaration, dataset: str) -> dg.TableSchema:
    """The dataset's columns with their types and, after the border, how each was treated."""
    if dataset == "predictions":
        return dg.TableSchema(columns=[dg.TableColumn("score", "float", description=_SCORES[declaration.task])])
    columns = [
        dg.TableColumn(name, _type(declaration, dataset, name), description=_description(declaration, dataset, name))
        for name in _columns(declaration, dataset)
    ]
    if dataset == "quarantine":
        columns.append(dg.TableColumn("_reasons", "list[string]", description="rules that the row broke"))
    return dg.TableSchema(columns=columns)


def _columns(declaration: Declaration, dataset: str) -> tuple[str, ...]:
    if dataset == "anonymized":
        return declaration.released
    if dataset == "labels":
        return tuple(name for name in declaration.late if declaration.columns[name].treatment != "drop")
    return declaration.delivered if dataset in ("raw", "quarantine") else tuple(declaration.delivery.columns)


def _type(declaration: Declaration, dataset: str, name: str) -> str:
    column = declaration.columns[name]
    text = dataset in ("raw", "quarantine") or (dataset == "anonymized" and _kind(declaration, name) == "token")
    return "string" if text else column.type


def _kind(declaration: Declaration, name: str) -> str | None:
    treatment = declaration.columns[name].privacy
    return None if treatment is None else treatment.kind


def _description(declaration: Declaration, dataset: str, name: str) -> str | None:
    if dataset == "raw":
        return "text as received"
    kind = _kind(declaration, name)
    return f"released through: {kind}" if dataset == "anonymized" and kind else None


def _lineage(declaration: Declaration, dataset: str) -> dict[str, list[dg.TableColumnDep]]:
    if dataset == "predictions":
        anonymized = key(declaration, "anonymized")
        seen = (*declaration.features, *filter(None, [declaration.exposure]))
        return {"score": [dg.TableColumnDep(asset_key=anonymized, column_name=name) for name in seen]}
    if dataset == "labels":  # the values are the file's own; these columns say whose they are
        on = declaration.labels.on if declaration.labels else ()
        matched = [dg.TableColumnDep(asset_key=key(declaration, "validated"), column_name=name) for name in on]
        return dict.fromkeys(_columns(declaration, dataset), matched)
    if dataset not in _UPSTREAM:
        return {}
    parent = key(declaration, _UPSTREAM[dataset])
    found = {name: [dg.TableColumnDep(asset_key=parent, column_name=name)] for name in _columns(declaration, dataset)}
    if dataset == "validated":
        lags = {name: declaration.columns[name].from_ for name in found}
        found |= {
            name: [dg.TableColumnDep(asset_key=parent, column_name=lag.column)]
            for name, lag in lags.items()
            if isinstance(lag, Lag)
        }
    return found
