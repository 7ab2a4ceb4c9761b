"""The workspace: settings and lake of one installation, and which dataset lives in which zone."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from kedge import durable
from kedge.audit.entry import Actor
from kedge.audit.trail import Trail
from kedge.errors import Tampered, Terminal
from kedge.lake import Dataset, Lake, LeaveOut, Secrets, Zone
from kedge.lake.lake import FILE
from kedge.lake.names import check_partition
from kedge.offline import silence
from kedge.settings import Settings
from kedge.spec import check_name

ZONES = MappingProxyType[str, Zone](
    {
        "raw": "restricted",
        "validated": "restricted",
        "quarantine": "restricted",
        "labels_raw": "restricted",
        "labels": "restricted",
        "labels_quarantine": "restricted",
        "predictions_restricted": "restricted",
        "test_raw": "restricted",
        "test_validated": "restricted",
        "test_quarantine": "restricted",
        "test_anonymized": "open",
        "anonymized": "open",
        "training_set": "open",
        "model": "open",
        "evaluation": "open",
        "predictions": "open",
        "drift_report": "open",
    }
)
"""Restricted: identifies people. Open: no direct identifiers; pseudonymised, not anonymous unless proven."""


@dataclass(frozen=True)
class Workspace:
    """Where one installation keeps everything.

    Attributes:
        settings: places.
        lake: the stored datasets.
        trail: the audit trail; what is read from the lake or changed in it is written there.
        apart: whether rows on their way over the border are those of the official test file, see `official`.
    """

    settings: Settings
    lake: Lake
    trail: Trail
    apart: bool = False

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        run: str | None = None,
        why: str | None = None,
        actor: Actor | None = None,
        leave_out: LeaveOut | None = None,
    ) -> "Workspace":
        """Open the installation at `settings.home`; the first time makes its lake and key ring.

        Args:
            run: who writes, e.g. the id of the orchestrator's run; named in the conflict that a loser gets.
            why: what it is opened for, in words for the audit trail; names no person.
            actor: who does it; by default the user of the operating system.

        Raises:
            Tampered: the lake is gone, although there is an audit trail.
        """
        silence()
        require_lake(settings)
        lake = Lake.open(settings.lake, settings.key_place, run=run, leave_out=leave_out)
        trail = Trail.open(settings.audit, lake.id, lake.keys, run=run, why=why, actor=actor)
        lake.journal, lake.keys.announce = trail, trail.made
        return cls(settings, lake, trail)

    def dataset(self, pipeline: str, name: str) -> Dataset:
        """The dataset of that name, in the zone where it belongs.

        Raises:
            Terminal: there is no such dataset.
        """
        if self.apart and f"test_{name}" in ZONES:
            name = f"test_{name}"
        if name not in ZONES:
            need = f"one of {', '.join(ZONES)}"
            raise Terminal("dataset", need=need, got="another name", remedy="Add it to kedge.workspace.ZONES.")
        return self.lake.dataset(ZONES[name], pipeline, name)

    @property
    def official(self) -> "Workspace":
        """The same installation, with the official test file's datasets in the place of the nights'."""
        return replace(self, apart=True)

    def secrets(self, pipeline: str) -> Secrets:
        """The stable secrets of a pipeline; made at first use."""
        return self.lake.secrets(pipeline)

    def registry_path(self, pipeline: str) -> Path:
        """Folder of the pipeline's champion and its history."""
        return self.settings.registry / check_name("pipeline", pipeline)

    def report_path(self, pipeline: str, kind: str, partition: str, version: str, suffix: str) -> Path:
        """File for a report that people read; its folder is made.

        Args:
            kind: e.g. `drift_report`.
            suffix: e.g. `.html`.
        """
        names = check_name("pipeline", pipeline), check_name("kind", kind), check_partition(partition)
        folder = self.settings.reports.joinpath(*names)
        with durable.storage(str(folder)):
            durable.make_folder(folder)
        return folder / f"{version}{suffix}"


def require_lake(settings: Settings) -> None:
    """Refuse to make a new lake where there was one.

    Raises:
        Tampered: there is an audit trail and no lake.
    """
    if (settings.lake / FILE).exists() or not settings.audit.is_dir() or not any(settings.audit.iterdir()):
        return
    raise Tampered(
        str(settings.lake / FILE),
        need="the lake that the audit trail tells of",
        got="no such file",
        remedy="Restore the folder from a backup; to begin anew, choose another KEDGE_HOME.",
        part="lake",
    )
