"""Which versions of which nights train, and who is held out."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, key, op_tags
from kedge.spec import Declaration
from resources.cause import Cause
from resources.events import release
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/training_set`."""
    description = (
        f"Manifest of the anonymized versions of a {declaration.training.window}-day window and of who is held out. "
        "No copy of rows. Names the cause of this training."
    )
    common = attributes(declaration, "training_set", description=description, kinds={"polars"})

    deps = [key(declaration, name) for name in ("anonymized", *(("labels",) if declaration.late else ()))]

    @dg.asset(**common, deps=deps, op_tags=op_tags(declaration, "training_set"))
    def _training_set(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("training_set", context, declaration) as workspace:
            from kedge.registry.store import Registry
            from kedge.training.training_set import assemble

            cause = Cause.of_run(context.run.tags, Registry.open(workspace, declaration.name).champion())
            outcome = assemble(
                workspace,
                declaration,
                cause=cause.cause,
                trigger=cause.trigger,
                until=cause.until,
                episode=cause.episode,
            )
        yield from release(context.asset_key, outcome)

    return _training_set
