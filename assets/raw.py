"""The delivery of one day, as received."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, check_specs, daily, op_tags
from assets.columns import metadata
from kedge.source.checks import blocks, described
from kedge.spec import Declaration
from resources.events import release
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/raw`."""
    description = "The delivery as received: text, encrypted, with its size, digest and row count."
    common = attributes(declaration, "raw", description=description, kinds={"csv", "parquet"})

    days, checks = daily(declaration), blocks(declaration)

    @dg.asset(
        **common,
        partitions_def=days,
        check_specs=check_specs(declaration, "raw", checks, described=described(), partitions=days),
        op_tags=op_tags(declaration, "raw"),
    )
    def _raw(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("raw", context, declaration) as workspace:
            from kedge.source.take import take

            outcome = take(workspace, declaration, context.partition_key)
        if outcome.written and outcome.facts["replaces_delivery"]:
            before, night = outcome.version.manifest.predecessor, f"{declaration.name} {context.partition_key}"
            context.log.warning(f"{night}: another delivery of a known day replaces raw version {before}")
        yield from release(context.asset_key, outcome, metadata(declaration, "raw"))

    return _raw
