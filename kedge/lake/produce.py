"""Write, measure, decide, swap: the only way a version comes into being.

A rerun whose version is current and whole writes nothing. A version that fails a blocking check is kept unpointed with
its verdict and is measured anew by the next run. A version that was current once, or that a killed run left complete
but unpointed, becomes current again without being written again.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kedge import durable, faults
from kedge.lake.commit import Partition
from kedge.lake.dataset import Dataset
from kedge.lake.draft import Draft
from kedge.lake.identity import version_id
from kedge.lake.manifest import Manifest
from kedge.lake.names import MANIFEST
from kedge.lake.outcome import Outcome
from kedge.lake.version import Version
from kedge.outcome import Check, Findings
from kedge.spec.canonical import digest

faults.register("lake.manifest", steps=(*durable.WRITE, "after"))


def produce(
    dataset: Dataset,
    partition: str,
    *,
    inputs: Mapping[str, str],
    declared: Mapping[str, Any],
    code: int,
    seed: int | None = None,
    write: Callable[[Draft], Findings],
) -> Outcome:
    """Make the version of `partition` that these inputs define, unless it is current and whole.

    Args:
        inputs, declared, code, seed: what the version id is a digest of, see `version_id`.
        write: writes files into the draft, measures them and returns its findings.

    Raises:
        Conflict: another writer made a version of this partition current meanwhile; it is named.
        Whatever `write` raises; nothing of the draft stays.
    """
    version = Version(dataset, partition, version_id(dataset, partition, inputs, declared, code, seed))
    place = Partition(version)
    pointer = place.look()
    if _reusable(version):
        moved = pointer is None or pointer.version != version.id
        if moved:
            place.commit(version.manifest, None)
        return Outcome(version, written=moved)
    scratch = place.begin()
    try:
        draft = Draft(dataset, partition, version.id, scratch.path)
        findings = write(draft)
        origin = {"inputs": dict(inputs), "declared": digest(dict(declared)), "code": code, "seed": seed}
        manifest = _finish(draft, scratch, findings, origin, pointer.version if pointer else None)
        place.commit(manifest, draft)
    finally:
        scratch.close()
    return Outcome(Version(dataset, partition, version.id), written=True)


def _reusable(version: Version) -> bool:
    """Whether the version is there, was released and is what was written."""
    return version.path.is_dir() and version.is_whole() and version.manifest.released


def _finish(
    draft: Draft, scratch: durable.Scratch, findings: Findings, origin: Mapping[str, Any], predecessor: str | None
) -> Manifest:
    """Decide, and complete the folder by all but the keys."""
    reason = _reason(findings.checks)
    manifest = Manifest(
        zone=draft.dataset.zone,
        pipeline=draft.dataset.pipeline,
        dataset=draft.dataset.name,
        partition=draft.partition,
        version=draft.version,
        **origin,
        rows=draft.rows,
        schema=draft.schema,
        files=draft.files(),
        content_digest=draft.content_digest,
        facts=dict(findings.facts),
        checks=findings.checks,
        released=reason is None,
        reason=reason,
        predecessor=predecessor,
        created=datetime.now(UTC).isoformat(),
        notes=dict(findings.notes),
    )
    sealed = manifest.sealed(draft.dataset.secrets.digest)
    with durable.storage(f"{draft.dataset.place}/{draft.partition}/{draft.version}/{MANIFEST}"):
        durable.write(scratch.path / MANIFEST, sealed, point="lake.manifest")
        faults.reach("lake.manifest.after")
    return manifest


def _reason(checks: tuple[Check, ...]) -> str | None:
    failed = [_told(check) for check in checks if _bad(check)]
    return f"blocked by {'; '.join(failed)}" if failed else None


def _told(check: Check) -> str:
    """Name of a failed check, the rule that does not hold, and the facts that say why."""
    facts = ", ".join(
        f"{name.replace('_', ' ')}: {value}" for name, value in check.facts.items() if value not in (None, "")
    )
    return ": ".join(filter(None, [check.name, check.description.rstrip("."), facts]))


def _bad(check: Check) -> bool:
    return check.blocking and not check.passed
