"""Whether the day still looks like what the champion was trained on."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.attributes import attributes, check_specs, daily, key, op_tags
from kedge.drift.checks import descriptions
from kedge.spec import Declaration
from resources.events import materialize
from resources.store import Store

if TYPE_CHECKING:
    from kedge.lake import Outcome
    from kedge.workspace import Workspace


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/drift_report`; skipped, with the reason, while there is no champion."""
    description = (
        "Evidently's report of the day against the champion's reference: value, threshold and verdict per column, "
        f"predictions and outcome included. Days that drift, {declaration.drift.patience} in a row, make the drift "
        "sensor ask for a retraining."
    )
    described = descriptions(declaration)
    common = attributes(declaration, "drift_report", description=description, kinds={"evidently"})

    @dg.asset(
        **common,
        deps=[key(declaration, "predictions"), key(declaration, "anonymized")],
        partitions_def=daily(declaration),
        check_specs=check_specs(
            declaration,
            "drift_report",
            dict.fromkeys(described, False),
            described=described,
            partitions=daily(declaration),
        ),
        output_required=False,
        op_tags=op_tags(declaration, "drift_report"),
    )
    def _drift_report(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("drift_report", context, declaration) as workspace:
            from kedge.drift.report import report
            from kedge.scoring import scorer

            outcome = report(workspace, declaration, context.partition_key, score=scorer(workspace, declaration))
        if outcome is None:
            context.log.info(f"skipped: {declaration.name} has no champion whose reference could be compared with")
            return
        yield materialize(context.asset_key, outcome, _links(workspace, outcome))

    return _drift_report


def _links(workspace: "Workspace", outcome: "Outcome") -> dict[str, dg.MetadataValue[Any]]:
    """Where people find Evidently's page: as a file, and through `kedge up`."""
    html = outcome.facts.get("html")
    if html is None:
        return {}
    settings = workspace.settings
    page = f"{settings.reports_page}/{Path(str(html)).relative_to(settings.reports)}"
    return {"html": dg.MetadataValue.path(str(html)), "report": dg.MetadataValue.url(page)}
