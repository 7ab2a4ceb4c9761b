"""What is in production."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, key, op_tags
from kedge.spec import Declaration
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/champion`."""
    description = (
        "The model in production. Moves only when every gate holds and the challenger is not worse; "
        "the decision and its reason are written either way."
    )
    common = attributes(declaration, "champion", description=description, kinds={"mlflow"})

    @dg.asset(**common, deps=[key(declaration, "evaluation")], op_tags=op_tags(declaration, "champion"))
    def _champion(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("champion", context, declaration) as workspace:
            from kedge.registry.promote import promote
            from kedge.registry.store import Registry

            decision = promote(workspace, declaration, store.tracking())
            reigning = Registry.open(workspace, declaration.name).champion()
        context.log.info(f"{decision.action}: {decision.reason}")
        in_production = reigning.model if reigning else "none"
        facts = {name: getattr(decision, name) for name in ("action", "reason", "model", "trigger", "cause", "at")}
        yield dg.MaterializeResult(
            metadata={"champion": in_production, **facts}, data_version=dg.DataVersion(in_production)
        )

    return _champion
