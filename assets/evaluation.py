"""Challenger against champion and baseline, on the same held-out people."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, check_specs, key, op_tags
from kedge.spec import Declaration
from resources.events import release
from resources.store import Store


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/evaluation`."""
    description = (
        "Challenger, champion and a linear baseline on the same rows of held-out people, with 95 % intervals; "
        "the verdict of each gate on recent and on trusted nights."
    )
    common = attributes(declaration, "evaluation", description=description, kinds={"pytorch", "scikitlearn"})
    rules = (*(f"gate_{metric}" for metric in declaration.gates), "not_worse", "enough_rows")
    checks = {f"{rule}_{rows}": False for rule in rules for rows in ("recent", "trusted")}

    @dg.asset(
        **common,
        deps=[key(declaration, "model"), key(declaration, "anonymized")],
        check_specs=check_specs(declaration, "evaluation", checks),
        op_tags=op_tags(declaration, "evaluation"),
    )
    def _evaluation(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("evaluation", context, declaration) as workspace:
            from kedge.evaluation.evaluate import evaluate
            from kedge.scoring import scorer
            from kedge.scoring.official import official
            from resources.contest import challenger, champion

            outcome = evaluate(
                workspace,
                declaration,
                challenger=challenger(workspace, declaration),
                champion=champion(workspace, declaration),
                score=scorer(workspace, declaration),
                official=official(workspace, declaration),
            )
        yield from release(context.asset_key, outcome)

    return _evaluation
