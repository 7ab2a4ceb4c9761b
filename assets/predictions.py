"""Every validated row of a day, scored by the champion."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, daily, key, op_tags
from assets.columns import metadata
from kedge.spec import Declaration
from resources.events import materialize
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/predictions`; skipped, with the reason, while there is no champion."""
    description = (
        "Everybody validated, scored by the champion through the model's own anonymization plan. The open zone keeps "
        f"the released rows, the restricted zone all with their subject: kedge predictions {declaration.name}."
    )
    common = attributes(declaration, "predictions", description=description, kinds={"pytorch", "polars"})

    @dg.asset(
        **common,
        deps=[key(declaration, "anonymized"), key(declaration, "champion")],
        partitions_def=daily(declaration),
        output_required=False,
        op_tags=op_tags(declaration, "predictions"),
    )
    def _predictions(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("predictions", context, declaration) as workspace:
            from kedge.scoring import predict

            scored = predict(workspace, declaration, context.partition_key)
        if scored is None:
            context.log.info(f"skipped: {declaration.name} has no champion yet; {declaration.name}_retrain trains one")
            return
        released, everybody = scored
        columns = metadata(declaration, "predictions")
        yield materialize(context.asset_key, released, {"rows_scored": everybody.rows, **columns})

    return _predictions
