"""Rows that meet the contract, and those that do not."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, check_specs, daily, key, op_tags
from assets.columns import metadata
from kedge.quality.rules import rules
from kedge.spec import Declaration
from resources.events import materialize, release
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Assets `<p>/validated` and `<p>/quarantine`: one pass over the rows decides between them."""
    good = "Rows that meet the contract, typed. Every rule is a check; Great Expectations confirms the verdict."
    bad = "Rows that break the contract, as received, each with its reasons. Never leaves the restricted zone."
    kinds = {"greatexpectations", "polars"}
    contract = rules(declaration.delivery)
    specs = [
        dg.AssetSpec(
            **attributes(declaration, name, description=text, kinds=kinds),
            deps=[key(declaration, "raw")],
            skippable=True,
        )
        for name, text in (("validated", good), ("quarantine", bad))
    ]

    @dg.multi_asset(
        name=f"{declaration.name}__validated",
        specs=specs,
        partitions_def=daily(declaration),
        check_specs=check_specs(
            declaration,
            "validated",
            {rule.name: rule.blocking for rule in contract},
            described={rule.name: rule.description for rule in contract},
            partitions=daily(declaration),
        ),
        op_tags=op_tags(declaration, "validated"),
    )
    def _validated(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("validated", context, declaration) as workspace:
            from kedge.quality.validate import validate

            result = validate(workspace, declaration, context.partition_key)
        if result.quarantine is not None:
            columns = metadata(declaration, "quarantine")
            yield materialize(key(declaration, "quarantine"), result.quarantine, columns)
        yield from release(key(declaration, "validated"), result.validated, metadata(declaration, "validated"))

    return _validated
