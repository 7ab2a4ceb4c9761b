"""A whole pipeline, verified: keys, audit trail, registry, pointers, versions, and the models' copies."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from kedge import durable
from kedge.audit import verify as log
from kedge.audit.anchor import open_anchor
from kedge.audit.checkpoint import Checkpoint, parse_signed
from kedge.audit.lines import LOG
from kedge.audit.signer import Signer
from kedge.errors import KedgeError, Tampered, Terminal
from kedge.lake import Lake, Version
from kedge.registry.store import Registry
from kedge.settings import Settings
from kedge.spec import Declaration
from kedge.verification.copies import copies
from kedge.verification.finding import Findings, ordered
from kedge.verification.record import Record
from kedge.verification.stored import Stored, older_log
from kedge.workspace import require_lake

Progress = Callable[[int, int], None]
_THREADS = 2  # hashing holds no lock of Python's, and one reads while the other hashes


def verify(settings: Settings, declaration: Declaration, progress: Progress = lambda *_: None) -> Findings:
    """Look at everything stored of a pipeline and go on after what is wrong. Writes nothing and reads no row.

    Args:
        progress: told how many versions are done, and of how many.

    Raises:
        Terminal: nothing is stored of the pipeline.
    """
    return _Verification(settings, declaration, progress).findings()


class _Verification:
    def __init__(self, settings: Settings, declaration: Declaration, progress: Progress) -> None:
        self._settings, self._declaration, self._progress = settings, declaration, progress
        self._pipeline = declaration.name
        self._trail = settings.audit / declaration.name
        self._wrong: list[KedgeError] = []
        self._anchored = 0
        self._entries: int | None = None

    def findings(self) -> Findings:
        self._require()
        with self._noting():
            require_lake(self._settings)
            lake = Lake.open(self._settings.lake, self._settings.key_place)
            record = self._record(lake)
            self._keys(lake, record)
            if self._nothing_made(lake, record):
                self._wrong += Stored(lake, self._pipeline, record).strangers()
                return Findings(self._pipeline, ordered(self._wrong), entries=self._entries, anchored=self._anchored)
            with self._noting():
                self._secrets(lake)
                return self._compared(lake, record)
        return Findings(self._pipeline, ordered(self._wrong), entries=self._entries, anchored=self._anchored)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep what is wrong inside the block, and go on after it."""
        try:
            with durable.storage(self._pipeline):
                yield
        except KedgeError as error:
            self._wrong.append(error)

    def _require(self) -> None:
        """A lake that is missing is not made, as opening it would."""
        zones = [self._settings.lake / zone for zone in ("restricted", "open")]
        if any((zone / self._pipeline).is_dir() for zone in zones) or self._trail.is_dir():
            return
        remedy = f"Run a night first: kedge run {self._pipeline} --partition YYYY-MM-DD; or look at KEDGE_HOME."
        raise Terminal(self._pipeline, need="something that is stored", got="nothing", remedy=remedy)

    def _nothing_made(self, lake: Lake, record: Record | None) -> bool:
        """Whether no run came as far as its first version: there are no secrets then, and they are not missed."""
        if record is None or record.digests or record.decisions or record.deciding():
            return False
        files = (_secrets_file(lake, self._pipeline), self._settings.registry / self._pipeline)
        copied = any((self._settings.mlflow_artifacts / self._pipeline).glob("*/artifacts/model"))
        return not (copied or any(map(Path.exists, files)) or Stored(lake, self._pipeline, record).versions())

    def _secrets(self, lake: Lake) -> None:
        path = _secrets_file(lake, self._pipeline)
        if not path.exists():  # opening them would make new ones, where there are no versions any more
            need, remedy = "the wrapped secrets of the pipeline", "Restore the file from a backup."
            raise Tampered(str(path), need=need, got="no such file", remedy=remedy, part="secrets")
        lake.secrets(self._pipeline)

    def _record(self, lake: Lake) -> Record | None:
        """The audit trail against its checkpoints and those of the anchor; None if it is not sound."""
        with self._noting():
            if not (self._trail / LOG).exists():
                raise self._no_log()
            vkey = Signer.open(self._trail, self._pipeline, lake.id, lake.keys).vkey
            verified = log.verify(self._trail, vkey, self._anchors(lake, vkey))
            self._entries, self._anchored = verified.size, verified.anchored_size
            return Record(self._trail)
        return None

    def _no_log(self) -> Tampered:
        need = "the audit trail of everything that is stored"
        remedy = "Restore the folder from a backup, and compare it with the anchored checkpoints."
        return Tampered(f"audit/{self._pipeline}", need=need, got="no log", remedy=remedy, part="log")

    def _anchors(self, lake: Lake, vkey: str) -> list[Checkpoint]:
        url, found = self._declaration.audit.anchor, list[Checkpoint]()
        if url is None:
            return found
        with self._noting():
            origin = f"kedge/{lake.id}/{self._pipeline}"
            for text in open_anchor(url, origin=origin, home=self._settings.home).all():
                try:
                    found.append(parse_signed(text, vkey))
                except Tampered as error:
                    self._wrong.append(error.of("anchor"))
        return found

    def _keys(self, lake: Lake, record: Record | None) -> None:
        """The key ring against the trail: an older copy lacks keys, or holds some that were destroyed."""
        while record is not None:
            wrong = self._unlike_ring(lake, record)
            if not wrong or not record.update():  # keys come and go while we look, and the trail then says so
                self._wrong += wrong
                return

    def _unlike_ring(self, lake: Lake, record: Record) -> list[KedgeError]:
        held = {(kek.zone, kek.id): kek.destroyed is None for kek in lake.keys.keys(self._pipeline)}
        going = record.destroying()
        told = {key: alive for key, alive in record.keys.items() if key not in going}
        wrong: list[KedgeError] = [
            older_log(self._pipeline, f"the entry that destroyed key {kek} of zone {zone}")
            for (zone, kek), alive in told.items()
            if alive and held.get((zone, kek)) is False
        ]
        # A key service forgets a destroyed key after some days: that it is missing then says nothing.
        missing = [key for key, alive in told.items() if alive and key not in held]
        old = missing + [key for key, alive in told.items() if held.get(key) and not alive]
        if old:
            wrong.append(
                Tampered(
                    "KEDGE_KEYS",
                    need="the keys that the audit trail says were made, without those it says were destroyed",
                    got=f"others ({len(old)} of {len(record.keys)}): an older copy that was put back",
                    remedy="Restore the newest backup of KEDGE_KEYS.",
                    part="ring",
                )
            )
        return wrong

    def _compared(self, lake: Lake, record: Record | None) -> Findings:
        stored = Stored(lake, self._pipeline, record)
        secret = lake.secrets(self._pipeline).digest
        registry = Registry(self._settings.registry / self._pipeline, lambda: secret)
        self._wrong += stored.decisions(registry)
        partitions = stored.partitions()
        self._wrong += filter(None, (stored.pointer(*partition) for partition in partitions))
        versions = stored.versions()
        whole = self._versions(stored, versions)
        self._wrong += stored.strangers()
        self._wrong += stored.missing(versions)
        models = [version for version in whole if version.dataset.name == "model"]
        self._wrong += copies(self._settings.mlflow_artifacts / self._pipeline, models, secret)
        recorded = [file for version in whole for file in version.manifest.files.values()]
        return Findings(
            self._pipeline,
            ordered(self._wrong),
            versions=len(versions),
            files=len(recorded),
            size=sum(int(file["bytes"]) for file in recorded),
            pointers=len(partitions),
            decisions=_decisions(registry.path),
            entries=self._entries,
            anchored=self._anchored,
            given_up=tuple(sorted(record.given_up)) if record else (),
        )

    def _versions(self, stored: Stored, versions: Sequence[Version]) -> list[Version]:
        """Compare them all; those whose manifest is sound."""
        bad: set[Version] = set()
        with ThreadPoolExecutor(_THREADS) as pool:
            for done, (version, wrong) in enumerate(zip(versions, pool.map(stored.version, versions), strict=True), 1):
                self._wrong += wrong
                if wrong:
                    bad.add(version)
                self._progress(done, len(versions))
        return [version for version in versions if version not in bad]


def _secrets_file(lake: Lake, pipeline: str) -> Path:
    return lake.root / "restricted" / pipeline / "secrets.json"


def _decisions(folder: Path) -> int:
    return len(list(folder.glob("*.json")))
