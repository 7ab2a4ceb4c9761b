"""The commit: under the partition's lock, put the files in place and move the pointer, unless somebody else did."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Conflict, KedgeError, Tampered
from kedge.keys import keylock
from kedge.lake.draft import Draft
from kedge.lake.manifest import Manifest
from kedge.lake.pointer import Pointer, read_pointer, swap, writer
from kedge.lake.version import Version

faults.register("lake.place", steps=("before", "aside", "renamed", "after"))

LOCK = ".lock"
"""Of a partition's writers, in its folder."""


class Partition:
    """The folder of one partition: its lock, its pointer and the moment its run began."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.folder = version.path.parent
        self._place = f"{version.dataset.place}/{version.partition}"
        self._seen: Pointer | None = None

    def begin(self) -> durable.Scratch:
        """Remember the pointer, sweep what dead writers left and make a folder to write in."""
        with self._locked():
            durable.sweep(self.folder)
            return durable.Scratch(self.folder)

    def look(self) -> Pointer | None:
        """Read the pointer and remember it: a commit compares with what was seen here."""
        self._seen = read_pointer(self.version.dataset, self.version.partition)
        return self._seen

    def commit(self, manifest: Manifest, draft: Draft | None) -> None:
        """Make the version current, or keep it unpointed if it was not released.

        Data keys are wrapped here and no sooner: what a rotation finds, and a destruction counts, is all there is.

        Args:
            draft: what was written; None when the version is in place and whole.

        Raises:
            Conflict: another writer moved the pointer since `look`.
        """
        with self._wrapping(), self._locked(), self._journalled(manifest, draft):
            durable.sweep(self.folder)
            self._refuse_moved()
            if draft is not None:
                draft.write_keys()
                self._put(draft.folder)
            if manifest.released:
                swap(self.version, self._seen)

    def _put(self, scratch: Path) -> None:
        """Rename the written folder into place; one of that name is damaged or was never released."""
        faults.reach("lake.place.before")
        if self.version.path.exists():
            aside = durable.Scratch(self.folder)
            try:
                self.version.path.rename(aside.path / "old")
                faults.reach("lake.place.aside")
                scratch.rename(self.version.path)
            finally:
                aside.close()
        else:
            scratch.rename(self.version.path)
        faults.reach("lake.place.renamed")
        durable.sync_folder(self.folder)
        faults.reach("lake.place.after")

    def _refuse_moved(self) -> None:
        now = read_pointer(self.version.dataset, self.version.partition)
        if now == self._seen:
            return
        raise Conflict(
            self._place,
            need="nobody else to make a version current while this one is written",
            got=now.winner if now else "a pointer that was removed",
            remedy="Run it again: it will find that version, or replace it.",
        )

    @contextmanager
    def _wrapping(self) -> Iterator[None]:
        with durable.storage(self._place), keylock.wrapping(self.version.dataset.path.parent):
            yield

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with durable.storage(self._place):
            durable.make_folder(self.folder, mode=0o700)
            with durable.lock(self.folder / LOCK):
                yield

    @contextmanager
    def _journalled(self, manifest: Manifest, draft: Draft | None) -> Iterator[None]:
        journal = self.version.dataset.lake.journal
        if journal is None:
            yield
            return
        entry = self._entry(manifest, draft)
        journal.intent(entry)
        try:
            yield
        except BaseException as error:
            with suppress(KedgeError):  # settled later, by the pointer as here; what went wrong says more
                journal.outcome({**entry, "result": self._result(entry, error), "error": type(error).__name__})
            raise
        journal.outcome({**entry, "result": "done"})

    def _result(self, entry: Mapping[str, Any], error: BaseException) -> str:
        """What became of a commit that raised: the pointer may have moved before its last step failed."""
        if isinstance(error, Conflict):
            return "conflict"
        return "done" if happened(self.version, entry) else "failed"

    def _entry(self, manifest: Manifest, draft: Draft | None) -> dict[str, Any]:
        action = "attempt" if not manifest.released else "repoint" if draft is None else "commit"
        names = ("zone", "pipeline", "dataset", "partition", "version", "declared", "content_digest", "released")
        return {
            "action": action,
            **{name: getattr(manifest, name) for name in names},
            "blocked_by": [check.name for check in manifest.checks if check.blocking and not check.passed],
            "predecessor": self._seen.version if self._seen else None,
            "sequence": self._seen.sequence if self._seen else 0,
            "writer": writer(self.version.dataset.lake.run),
        }


def happened(version: Version, entry: Mapping[str, Any]) -> bool:
    """Whether the commit that a journal's entry announced came about; the caller holds the partition's lock.

    The pointer decides; a version that failed a blocking check has none, and is there or is not.

    Raises:
        Tampered: the pointer is damaged.
    """
    if entry["released"]:
        pointer = Partition(version).look()
        return pointer is not None and pointer.version == version.id and pointer.sequence > entry["sequence"]
    with suppress(Tampered):
        stored = Version(version.dataset, version.partition, version.id)  # another one may have read what was there
        return stored.manifest.content_digest == str(entry["content_digest"])
    return False
