"""The Dagster component behind `type: pipelines.component.TrainingPipeline` in a `defs.yaml`."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import BaseModel

import assets
import sensors
from assets.attributes import key
from kedge.spec import Attributes, Declaration

MAX_NIGHT_SECONDS = 4 * 3600
MAX_RETRAIN_SECONDS = 24 * 3600


class TrainingPipeline(dg.Component):
    """Turns a declaration into assets, checks, jobs, a schedule and sensors."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return Attributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "TrainingPipeline":
        assert isinstance(attributes, Attributes)
        return cls(Declaration.named(context.path.name, attributes))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return definitions(self.declaration)


def definitions(declaration: Declaration) -> dg.Definitions:
    """Everything Dagster needs of one declared pipeline; resources are added once for the whole location."""
    triggers, schedules = sensors.build(declaration)
    return dg.Definitions(
        assets=assets.build(declaration), jobs=_jobs(declaration), sensors=triggers, schedules=schedules
    )


def _jobs(declaration: Declaration) -> list[UnresolvedAssetJobDefinition]:
    name = declaration.name
    nightly = dg.define_asset_job(
        f"{name}_nightly",
        selection=dg.AssetSelection.assets(*(key(declaration, asset) for asset in assets.NIGHTLY)),
        description="One day: raw ... drift_report.",
        tags={"dagster/max_runtime": str(MAX_NIGHT_SECONDS)},
    )
    retrain = dg.define_asset_job(
        f"{name}_retrain",
        selection=dg.AssetSelection.assets(*(key(declaration, asset) for asset in assets.RETRAIN)),
        description="A new model: training_set ... champion.",
        tags={"dagster/max_runtime": str(MAX_RETRAIN_SECONDS)},
    )
    if not declaration.late:
        return [nightly, retrain]
    labels = dg.define_asset_job(
        f"{name}_labels",
        selection=dg.AssetSelection.assets(*(key(declaration, asset) for asset in assets.LABELS)),
        description="Outcomes of one day, which arrived later.",
        tags={"dagster/max_runtime": str(MAX_NIGHT_SECONDS)},
    )
    return [nightly, retrain, labels]
