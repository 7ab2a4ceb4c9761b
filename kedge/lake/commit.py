"""The commit: under the partition's lock, put the files in place and move the pointer, unless somebody else did."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Conflict
from kedge.lake import keylock
from kedge.lake.draft import Draft
from kedge.lake.manifest import Manifest
from kedge.lake.pointer import Pointer, read_pointer, swap, writer
from kedge.lake.version import Version

faults.register("lake.place", steps=("before", "aside", "renamed", "after"))

_LOCK = ".lock"


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
            with durable.lock(self.folder / _LOCK):
                yield

    @contextmanager
    def _journalled(self, manifest: Manifest, draft: Draft | None) -> Iterator[None]:
        journal = self.version.dataset.lake.journal
        if journal is None:
            yield
            return
        entry = self._entry(manifest, draft)
        journal.intent(entry)
        result = "failed"
        try:
            yield
            result = "done"
        except Conflict:
            result = "conflict"
            raise
        finally:
            journal.outcome({**entry, "result": result})

    def _entry(self, manifest: Manifest, draft: Draft | None) -> dict[str, Any]:
        action = "attempt" if not manifest.released else "repoint" if draft is None else "commit"
        names = ("zone", "pipeline", "dataset", "partition", "version", "content_digest", "released", "reason")
        predecessor = self._seen.version if self._seen else None
        who = writer(self.version.dataset.lake.run)
        return {"action": action, **{n: getattr(manifest, n) for n in names}, "predecessor": predecessor, "writer": who}
