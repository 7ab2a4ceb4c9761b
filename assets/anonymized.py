"""The border between the restricted and the open zone."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.attributes import attributes, check_specs, daily, key, op_tags
from assets.columns import metadata
from kedge.spec import Declaration
from resources.events import release
from resources.store import Store

CHECKS = {
    "k_anonymity": "Every class of equal quasi-identifiers that is released holds enough different people.",
    "mask_budget": "Not too many rows lost quasi-identifiers for that.",
    "drop_budget": "Not too many rows were dropped for that.",
}
REDACTION = {"redaction": "No pattern of personal data is left in the released texts."}


def asset(declaration: Declaration) -> dg.AssetsDefinition:
    """Asset `<p>/anonymized`."""
    description = (
        "Identifiers dropped or replaced by tokens, quasi-identifiers generalised, free text redacted, classes of "
        f"fewer than {declaration.privacy.k} people masked. Blocked when the measured k or a budget does not hold."
    )
    redacts = any(column.treatment == "redact" for column in declaration.columns.values())
    checks = CHECKS | REDACTION if redacts else CHECKS
    common = attributes(declaration, "anonymized", description=description, kinds={"polars"})

    @dg.asset(
        **common,
        deps=[key(declaration, "validated")],
        partitions_def=daily(declaration),
        check_specs=check_specs(
            declaration, "anonymized", dict.fromkeys(checks, True), described=checks, partitions=daily(declaration)
        ),
        op_tags=op_tags(declaration, "anonymized"),
    )
    def _anonymized(context: dg.AssetExecutionContext, store: Store) -> Iterator[Any]:
        with store.stage("anonymized", context, declaration) as workspace:
            from kedge.privacy.anonymize import anonymize

            outcome = anonymize(workspace, declaration, context.partition_key)
        yield from release(context.asset_key, outcome, metadata(declaration, "anonymized"))

    return _anonymized
