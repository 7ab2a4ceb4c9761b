"""Every fault point of kedge in one place: enumerate them, kill at each."""

from importlib import import_module

from kedge import faults

OWNERS = (
    "kedge.audit.anchor",
    "kedge.audit.checkpoint",
    "kedge.audit.lines",
    "kedge.audit.signer",
    "kedge.audit.trail",
    "kedge.audit.tree",
    "kedge.drift.report",
    "kedge.durable",
    "kedge.keys.keyfile",
    "kedge.keys.kms",
    "kedge.keys.kmsnote",
    "kedge.keys.ringfile",
    "kedge.keys.unlock",
    "kedge.lake.commit",
    "kedge.lake.draft",
    "kedge.lake.erasure",
    "kedge.lake.lake",
    "kedge.lake.pointer",
    "kedge.lake.produce",
    "kedge.lake.rotation",
    "kedge.lake.secret",
    "kedge.quality.validate",
    "kedge.registry.client",
    "kedge.registry.database",
    "kedge.registry.layout",
    "kedge.registry.promote",
    "kedge.registry.store",
    "kedge.scoring.handout",
    "kedge.scoring.predictions",
    "kedge.settle",
    "kedge.source.inbox",
    "kedge.source.survey",
    "kedge.training.handover",
    "kedge.training.launch",
    "kedge.training.report",
    "kedge.training.room",
    "kedge.training.train",
    "kedge.training.worker",
)
"""Modules that register points; a test compares the list with the sources."""


def points() -> frozenset[str]:
    """All points of `OWNERS`."""
    for name in OWNERS:
        import_module(name)
    return faults.points()
