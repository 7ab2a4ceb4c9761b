"""A dataset of the lake: versions by partition, one of them current."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import polars as pl

from kedge.errors import Tampered, Terminal
from kedge.keys import Wrapped
from kedge.lake.names import ALL, Zone, check_dataset, check_partition, check_zone, is_partition, is_version
from kedge.lake.pointer import read_pointer
from kedge.lake.secret import Secrets
from kedge.lake.version import Version

if TYPE_CHECKING:
    from kedge.lake.lake import Lake


class Dataset:
    """Handle on `<zone>/<pipeline>/<name>`; nothing is on disk before the first version.

    Attributes:
        zone, pipeline, name: which one.
        path: its folder.
    """

    def __init__(self, lake: "Lake", zone: str, pipeline: str, name: str) -> None:
        self.lake = lake
        self.zone = cast(Zone, check_zone(zone))
        self.pipeline, self.name = check_dataset(pipeline, name)
        self.path: Path = lake.root / self.zone / self.pipeline / self.name

    def __repr__(self) -> str:
        return f"Dataset({self.place})"

    @property
    def place(self) -> str:
        """`zone/pipeline/name`."""
        return f"{self.zone}/{self.pipeline}/{self.name}"

    def partitions(self) -> list[str]:
        """Partitions that have a current version, sorted."""
        found = [entry.name for entry in self._folders(self.path) if is_partition(entry.name)]
        return sorted(p for p in found if read_pointer(self, p))

    def current(self, partition: str) -> Version | None:
        """The current version of a partition, or None.

        Raises:
            Tampered: the pointer is damaged, or names a version that is not there or was never released.
        """
        place = f"{self.place}/{check_partition(partition)}"
        pointer = read_pointer(self, partition)
        if pointer is None:
            return None
        version = Version(self, partition, pointer.version)
        if not version.manifest.released:
            raise Tampered(
                place,
                need="a pointer to a version that passed its blocking checks",
                got="one that did not",
                remedy="Restore the pointer from a backup, or run the stage again.",
                part="pointer",
            )
        return version

    def require(self, partition: str, remedy: str) -> Version:
        """The current version of a partition that a stage cannot do without.

        Raises:
            Terminal: there is none; `remedy` says what to run.
        """
        version = self.current(partition)
        if version is not None:
            return version
        where = self.name if partition == ALL else f"{self.name}/{partition}"
        raise Terminal(f"{self.pipeline}/{where}", need="a current version", got="none", remedy=remedy)

    def version(self, partition: str, version: str) -> Version:
        """That version, current or not.

        Raises:
            Terminal: it is not there.
        """
        found = Version(self, partition, version)
        if found.path.is_dir():
            return found
        need, remedy = "a stored version", "Look at its manifest's inputs; run the stage that makes it."
        raise Terminal(found.place, need=need, got="no such version", remedy=remedy)

    def attempts(self, partition: str) -> list[Version]:
        """All stored versions of a partition, oldest first: current, superseded and never released ones."""
        folders = self._folders(self.path / check_partition(partition))
        found = [Version(self, partition, entry.name) for entry in folders if is_version(entry.name)]
        return sorted(found, key=lambda version: (version.manifest.created, version.id))

    @property
    def secrets(self) -> Secrets:
        """The stable secrets of its pipeline."""
        return self.lake.secrets(self.pipeline)

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """Wrap a data key for its zone."""
        return self.lake.keys.wrap(self.pipeline, self.zone, key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        """Unwrap a data key of its zone."""
        return self.lake.keys.unwrap(self.pipeline, self.zone, wrapped, context)

    @property
    def leaves_out(self) -> bool:
        """Whether reads are filtered."""
        return self.lake.leave_out is not None

    def left_out(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """`frame` without the people who must be left out."""
        return self.lake.leave_out.filter(self, frame) if self.lake.leave_out else frame

    @staticmethod
    def _folders(path: Path) -> list[Path]:
        return [entry for entry in path.iterdir() if entry.is_dir()] if path.is_dir() else []
