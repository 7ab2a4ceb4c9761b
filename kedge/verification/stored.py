"""The stored files of one pipeline: each version, each pointer, each decision, and nothing that does not belong there.

Only ciphertext, manifests and wrapped keys are looked at: no row is decrypted, so that a verification is no read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from kedge import durable
from kedge.errors import KedgeError, Part, Tampered
from kedge.keys import KeyGone
from kedge.lake import Dataset, Lake, Version
from kedge.lake.names import KEYS, MANIFEST, Zone, is_partition, is_version
from kedge.lake.pointer import POINTER, Pointer, read_pointer
from kedge.registry.store import Registry
from kedge.verification.record import Current, Record

_BESIDE = frozenset({"secrets.json", "erasures.json"})
_EXTRA = "Find out who put it there, and remove it: nothing reads it."
_RESTORE = "Restore the version from a backup, or run its stage again."


@dataclass(frozen=True)
class Stored:
    """What lies in the lake of one pipeline.

    Attributes:
        record: what the audit trail says; None when there is no sound one to compare with.
    """

    lake: Lake
    pipeline: str
    record: Record | None

    def datasets(self) -> list[Dataset]:
        """Every dataset, in both zones."""
        zones: tuple[Zone, ...] = get_args(Zone)
        folders = [(zone, folder) for zone in zones for folder in _inside(self.lake.root / zone / self.pipeline)]
        return [self.lake.dataset(zone, self.pipeline, folder.name) for zone, folder in folders if folder.is_dir()]

    def partitions(self) -> list[tuple[Dataset, str]]:
        """Every partition that is there."""
        return [(d, p.name) for d in self.datasets() for p in _inside(d.path) if p.is_dir() and is_partition(p.name)]

    def versions(self) -> list[Version]:
        """Every version that is there, current or not."""
        found = [(d, p, v.name) for d, p in self.partitions() for v in _inside(d.path / p) if is_version(v.name)]
        return [Version(*names) for names in found]

    def strangers(self) -> Iterator[KedgeError]:
        """Files and folders where kedge puts none; hidden ones are locks and what a killed process left."""
        for zone in get_args(Zone):
            for entry in _inside(self.lake.root / zone / self.pipeline):
                if not entry.is_dir() and entry.name not in _BESIDE:
                    yield _stranger(f"{zone}/{self.pipeline}")
        for dataset in self.datasets():
            if any(not (entry.is_dir() and is_partition(entry.name)) for entry in _inside(dataset.path)):
                yield _stranger(dataset.place)
        for dataset, partition in self.partitions():
            entries = _inside(dataset.path / partition)
            if any(entry.name != POINTER and not (entry.is_dir() and is_version(entry.name)) for entry in entries):
                yield _stranger(f"{dataset.place}/{partition}")

    def missing(self, found: list[Version]) -> Iterator[KedgeError]:
        """Versions and pointers that the trail knows and the lake does not have."""
        if self.record is None:
            return
        there = {((v.dataset.zone, v.dataset.name, v.partition), v.id) for v in found}
        current = {(place, told.version) for place, told in self.record.pointers.items()}
        for (zone, name, partition), version in sorted((self.record.stored | current) - there):
            place = f"{zone}/{self.pipeline}/{name}/{partition}/{version}"
            part: Part = "model" if name == "model" else "data"
            need = "the version that the audit trail says was stored there"
            yield Tampered(place, need=need, got="no such folder", remedy=_RESTORE, part=part)
        partitions = {(d.zone, d.name, partition) for d, partition in self.partitions()}
        for zone, name, partition in sorted(self.record.pointers.keys() - partitions):
            yield _no_pointer(f"{zone}/{self.pipeline}/{name}/{partition}")

    def version(self, version: Version) -> list[KedgeError]:
        """What is wrong with one version: its manifest, each file and its wrapped key, files that are too many."""
        try:
            with durable.storage(version.place):
                manifest = version.manifest
        except KedgeError as error:
            return [error]
        found: list[KedgeError] = []
        checks: list[Callable[[], None]] = [partial(version.check_file, name) for name in manifest.files]
        for check in (version.check_keys, *checks):
            try:
                with durable.storage(version.place):
                    check()
            except KeyGone as error:
                if self.record is None or version.dataset.zone not in self.record.given_up:
                    found.append(error)
            except KedgeError as error:
                found.append(error)
        if {entry.name for entry in _inside(version.path)} - {MANIFEST, KEYS, *manifest.files}:
            found.append(_stranger(version.place))
        return found + self._unlike_record(version)

    def _unlike_record(self, version: Version) -> list[KedgeError]:
        record, place = self.record, (version.dataset.zone, version.dataset.name, version.partition)
        if record is None:
            return []
        told = record.digests.get((place, version.id))
        if told is None and record.update():
            told = record.digests.get((place, version.id))
        if told is None:
            need = f"the entry that made {version.place}, which kedge sealed"
            return [older_log(self.pipeline, need)]
        if version.manifest.content_digest in told:
            return []
        got = "an earlier version of the same name, put back"
        need, place_ = "the content that the audit trail says was stored last", f"{version.place}/{MANIFEST}"
        return [Tampered(place_, need=need, got=got, remedy=_RESTORE, part="manifest")]

    def pointer(self, dataset: Dataset, partition: str) -> KedgeError | None:
        """What is wrong with a pointer; it may move while we look, and the trail then says so."""
        while True:
            try:
                pointer = read_pointer(dataset, partition)
            except KedgeError as error:
                return error
            wrong = self._unlike_told(dataset, partition, pointer)
            if wrong is None or self.record is None or not self.record.update():
                return wrong

    def _unlike_told(self, dataset: Dataset, partition: str, pointer: Pointer | None) -> KedgeError | None:
        if self.record is None:
            return None
        key, place = (dataset.zone, dataset.name, partition), f"{dataset.place}/{partition}"
        told = self.record.pointers.get(key)
        found = Current(pointer.version, pointer.sequence) if pointer else None
        if found == told:
            return None
        if found is None:
            return _no_pointer(place)
        if found in self.record.becoming(key):
            return None
        if told is None or found.sequence >= told.sequence:
            return older_log(self.pipeline, f"the entry that made {found.version} current in {place}")
        return Tampered(
            f"{place}/{POINTER}",
            need=f"version {told.version}, which the audit trail says was made current last",
            got=f"an older pointer that was put back: version {found.version}",
            remedy="Restore the file from a newer backup, or remove it and run the stage again.",
            part="pointer",
        )

    def decisions(self, registry: Registry) -> Iterator[KedgeError]:
        """What is wrong with the champion's history."""
        try:
            with durable.storage(str(registry.path)):
                numbers = [decision.number for decision in registry.history()]
                records = {number: registry.recorded(number) for number in numbers}
        except KedgeError as error:
            yield error
            return
        if any(not _is_decision(entry) for entry in _inside(registry.path)):
            yield _stranger(str(registry.path), "decision")
        if self.record is None:
            return
        self.record.update()
        told = {**self.record.deciding(), **self.record.decisions}
        for number in sorted(told.keys() | records.keys()):
            if records.get(number) != told.get(number) and (number in records or number in self.record.decisions):
                yield self._other_decision(registry, number, number in records, number in told)

    def _other_decision(self, registry: Registry, number: int, there: bool, told: bool) -> KedgeError:
        if not told:
            return older_log(self.pipeline, f"the entry of decision {number}, which kedge sealed")
        return Tampered(
            f"{registry.path} (decision {number})",
            need="the decision that the audit trail says was recorded",
            got="another one" if there else "no such file: the history was cut",
            remedy="Restore the file from a backup: decision files are written once and never changed.",
            part="decision",
        )


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; hidden names are locks and temporary files."""
    return sorted(e for e in folder.iterdir() if not e.name.startswith(".")) if folder.is_dir() else []


def _is_decision(entry: Path) -> bool:
    return entry.suffix == ".json" and entry.stem.isdigit()


def _stranger(place: str, part: Part = "data") -> Tampered:
    return Tampered(place, need="the files that kedge wrote there", got="one more", remedy=_EXTRA, part=part)


def _no_pointer(place: str) -> Tampered:
    return Tampered(
        f"{place}/{POINTER}",
        need="the pointer that the audit trail says was written",
        got="no such file",
        remedy="Restore the file from a backup, or run the stage again.",
        part="pointer",
    )


def older_log(pipeline: str, need: str) -> Tampered:
    """What is stored was logged, and the log is sound: it is another one."""
    return Tampered(
        f"audit/{pipeline}/log.jsonl",
        need=need,
        got="a log that does not know it: an older copy of the log, put back with its checkpoints",
        remedy="Keep the folder as it is, compare it with the anchored checkpoints, and restore the newest backup.",
        part="log",
    )
