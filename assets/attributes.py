"""What every asset of a pipeline has in common: key, group, owners, partitions, place to run."""

from collections.abc import Mapping
from typing import Any, TypedDict

import dagster as dg

from kedge.spec import Declaration


class Attributes(TypedDict):
    """Keyword arguments that `dg.asset` and `dg.AssetSpec` share."""

    key: dg.AssetKey
    description: str
    group_name: str
    owners: list[str]
    kinds: set[str]


def key(declaration: Declaration, name: str) -> dg.AssetKey:
    """`<pipeline>/<name>`: two pipelines in one location never share a key."""
    return dg.AssetKey([declaration.name, name])


def daily(declaration: Declaration) -> dg.DailyPartitionsDefinition:
    """Calendar days of the declared time zone."""
    partitions = declaration.partitions
    return dg.DailyPartitionsDefinition(start_date=partitions.start.isoformat(), timezone=partitions.timezone)


def attributes(declaration: Declaration, name: str, *, description: str, kinds: set[str]) -> Attributes:
    """What describes the asset `name`."""
    return Attributes(
        key=key(declaration, name),
        description=description,
        group_name=declaration.name,
        owners=list(declaration.owners),
        kinds=kinds,
    )


def op_tags(declaration: Declaration, name: str) -> dict[str, Any]:
    """Resources of the asset in dagster-k8s's form; other launchers ignore them.

    They sit on the op, not on the job: a limit in a job's tags is ignored when somebody presses "Materialize".
    """
    wanted = {str(asset): amounts for asset, amounts in declaration.compute.items()}.get(name)
    if wanted is None:
        return {}
    requests = {kind: value for kind, value in (("cpu", wanted.cpu), ("memory", wanted.memory)) if value is not None}
    limits = {kind: value for kind, value in requests.items() if kind == "memory"}
    if wanted.gpu is not None:
        limits["nvidia.com/gpu"] = str(wanted.gpu)
    resources = {name: amounts for name, amounts in (("requests", requests), ("limits", limits)) if amounts}
    return {"dagster-k8s/config": {"container_config": {"resources": resources}}}


def check_specs(
    declaration: Declaration,
    name: str,
    checks: Mapping[str, bool],
    *,
    described: Mapping[str, str] | None = None,
    partitions: dg.PartitionsDefinition | None = None,
) -> list[dg.AssetCheckSpec]:
    """Specs of the checks of an asset.

    Args:
        checks: name -> whether it blocks.
        described: name -> one sentence for people, where there is one.
        partitions: those of the asset, so that a check's history says which day a result is about.
    """
    texts = described or {}
    return [
        dg.AssetCheckSpec(
            check,
            asset=key(declaration, name),
            blocking=blocking,
            description=texts.get(check),
            partitions_def=partitions,
        )
        for check, blocking in checks.items()
    ]
