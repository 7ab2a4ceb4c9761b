"""An outcome of kedge as the events that Dagster shows: materialization, checks, metadata."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from kedge.outcome import Check

if TYPE_CHECKING:
    from kedge.lake import Outcome

Metadata = Mapping[str, Any]


def check_result(key: dg.AssetKey, check: Check) -> dg.AssetCheckResult:
    """One named rule's verdict; counts and shares only, as kedge's facts are."""
    return dg.AssetCheckResult(
        passed=check.passed,
        asset_key=key,
        check_name=check.name,
        severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
        metadata={name: value for name, value in check.facts.items() if value is not None},
        description=check.description or None,
    )


def materialize(key: dg.AssetKey, outcome: "Outcome", metadata: Metadata | None = None) -> dg.MaterializeResult[Any]:
    """The event of a version that is current, made from its manifest; a rerun makes the same one again."""
    return dg.MaterializeResult(
        asset_key=key,
        metadata={
            **({"dagster/row_count": outcome.rows} if outcome.version.manifest.schema else {}),
            "version": outcome.version.id,
            "written": outcome.written,
            **{name: value for name, value in outcome.facts.items() if value is not None},
            **(metadata or {}),
        },
        check_results=[check_result(key, check) for check in outcome.checks],
        data_version=dg.DataVersion(outcome.version.id),
    )


def release(
    key: dg.AssetKey, outcome: "Outcome", metadata: Metadata | None = None
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Materialize a released outcome; for a blocked one yield its checks and fail, so that nothing downstream runs.

    Raises:
        dg.Failure: the version was blocked; the failed checks have been yielded before.
    """
    if outcome.released:
        yield materialize(key, outcome, metadata)
        return
    yield from (check_result(key, check) for check in outcome.checks)
    raise dg.Failure(
        description=f"{key.to_user_string()} {outcome.version.partition} is blocked: {outcome.reason}",
        metadata={"version": outcome.version.id, "failed_checks": ", ".join(failed(outcome.checks))},
        allow_retries=False,
    )


def failed(checks: Iterable[Check]) -> list[str]:
    """Names of the blocking checks that do not hold."""
    return [check.name for check in checks if check.blocking and not check.passed]
