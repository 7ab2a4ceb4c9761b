"""The PyTorch model, trained in a process of its own."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, check_specs, key, op_tags
from kedge.spec import Declaration
from resources.events import release
from resources.store import Store
from resources.torchrun import launch_through_pipes


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/model`."""
    description = (
        "PyTorch model trained by torchrun through Dagster Pipes, with its preprocessing, as safetensors; "
        "registered in MLflow as challenger."
    )
    common = attributes(declaration, "model", description=description, kinds={"pytorch", "mlflow"})

    @dg.asset(
        **common,
        deps=[key(declaration, "training_set")],
        check_specs=check_specs(declaration, "model", {"finite_loss": False}),
        op_tags=op_tags(declaration, "model"),
    )
    def _model(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("model", context, declaration) as workspace:
            from kedge.training.train import train

            launch = launch_through_pipes(context)
            outcome = train(workspace, declaration, launch=launch, tracking=store.tracking())
            tracked = outcome.notes.get("mlflow")
            page = f"{workspace.settings.mlflow_page}/{tracked['page']}" if tracked else None
        yield from release(context.asset_key, outcome, {"mlflow": dg.MetadataValue.url(page)} if page else None)

    return _model
