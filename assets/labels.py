"""Outcomes that arrived later, joined with the rows of their day."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, check_specs, daily, key, op_tags
from assets.columns import metadata
from kedge.labels.rules import checks
from kedge.spec import Declaration
from resources.events import release
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/labels`, of pipelines whose outcome is declared `from: labels`."""
    description = (
        "Outcomes that arrived later than their rows: judged like a delivery, joined with the validated rows of the "
        "day in the restricted zone. What contradicts itself or could mean several rows goes to labels_quarantine."
    )
    common = attributes(declaration, "labels", description=description, kinds={"greatexpectations", "polars"})
    rules = checks(declaration)

    @dg.asset(
        **common,
        deps=[key(declaration, "validated")],
        partitions_def=daily(declaration),
        check_specs=check_specs(
            declaration,
            "labels",
            {name: blocking for name, (blocking, _) in rules.items()},
            described={name: text for name, (_, text) in rules.items()},
            partitions=daily(declaration),
        ),
        op_tags=op_tags(declaration, "labels"),
    )
    def _labels(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("labels", context, declaration) as workspace:
            from kedge.labels.label import label

            outcome = label(workspace, declaration, context.partition_key).labels
        yield from release(context.asset_key, outcome, metadata(declaration, "labels"))

    return _labels
