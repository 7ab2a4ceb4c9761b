"""The delivery of one day, as received."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, daily, op_tags
from assets.columns import metadata
from kedge.spec import Declaration
from resources.events import release
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/raw`."""
    description = "The delivery as received: text, encrypted, with its size, digest and row count."
    common = attributes(declaration, "raw", description=description, kinds={"csv", "parquet"})

    @dg.asset(**common, partitions_def=daily(declaration), op_tags=op_tags(declaration, "raw"))
    def _raw(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("raw", context) as workspace:
            from kedge.source.take import take

            outcome = take(workspace, declaration, context.partition_key)
        yield from release(context.asset_key, outcome, metadata(declaration, "raw"))

    return _raw
