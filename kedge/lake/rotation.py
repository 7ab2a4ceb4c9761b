"""Rotation and destruction of the key-encryption key of a (pipeline, zone), while runs and readers go on.

A rotation makes a new key and wraps every data key of the zone anew under it: one small file after the other, each
replaced in one step under its partition's lock. Data and manifests are not touched. A version committed meanwhile is
wrapped under the new key already, since the new key is made while nobody wraps (`kedge.keys.keylock`).

10,000 versions of two files each took 30 s on 2 cores and a local disk, and 176 s beside others who fsynced all the
time; looking whether any of them still needs a key took 0.7 and 1.8 s, and commits wait for that long.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from kedge import durable, faults
from kedge.errors import Tampered, Terminal
from kedge.keys import KeyGone, keylock
from kedge.keys.keyfile import Answer, KeyFile
from kedge.lake.lake import Lake
from kedge.lake.names import KEYS, Zone, is_version
from kedge.lake.secret import ZONE as SECRETS_ZONE
from kedge.lake.secret import secrets_file
from kedge.spec.names import check_name

faults.register("lake.rotate", steps=("before", "made", "after"))
faults.register("lake.destroy", steps=("before", "unused", "after"))

AUDIT = "audit"
"""The zone of the key that wraps signing keys; the lake holds nothing of it."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What a rotation did.

    Attributes:
        kek: id of the current key-encryption key.
        resumed: whether it finished an earlier rotation instead of making a key of its own.
        rewrapped: files wrapped anew.
        current: files that were wrapped under `kek` already.
        lost: files whose key-encryption key was destroyed with their data; they stay as they are.
    """

    kek: str
    resumed: bool
    rewrapped: int
    current: int
    lost: int


def rotate(
    lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile] = (), *, progress: Progress = lambda *_: None
) -> Rotation:
    """Make a new key-encryption key and wrap everything anew under it; the old ones stay until they are destroyed.

    When an earlier rotation was cut off, or another one is at work, this one finishes it and makes no further key.

    Args:
        zone: restricted, open or audit.
        further: files outside the lake that hold keys of the zone.
        progress: told how many files are done, and of how many.

    Raises:
        Tampered: some files hold no wrapped keys of their place. All others are done; the error names one and how many.
        Transient: the disk does not take a file; what was there before is unharmed, and a rerun goes on.
    """
    _check(lake, pipeline, zone, further)
    with durable.storage(f"{zone}/{pipeline} (keys)"):
        kek, resumed = _current(lake, pipeline, zone, further)
        answers: Counter[Answer | str] = Counter()
        damaged: list[Tampered] = []
        files = list(_files(lake, pipeline, zone, further))
        for number, file in enumerate(files, start=1):
            try:
                with _wrapping(lake, pipeline, zone, further):
                    answers[_rewrap(lake, pipeline, zone, file)] += 1
            except Tampered as error:
                damaged.append(error)
            progress(number, len(files))
        faults.reach("lake.rotate.after")
    if damaged:
        raise _not_all(damaged)
    found = {name: answers[name] for name in ("rewrapped", "current", "lost")}
    return Rotation(kek=kek, resumed=resumed, **found)


def destroy(
    lake: Lake, pipeline: str, zone: str, kek: str, further: Sequence[KeyFile] = (), *, with_data: bool = False
) -> None:
    """Destroy a key-encryption key: what it wraps is unreadable at once, here and in every copy.

    Args:
        further: as for `rotate`.
        with_data: also if something still needs it.

    Raises:
        Terminal: something needs it.
        KeyGone: there was never such a key.
        Tampered: a file does not say what it needs.
    """
    _check(lake, pipeline, zone, further)
    with durable.storage(f"{zone}/{pipeline} (keys)"), _alone(lake, pipeline, zone, further):
        faults.reach("lake.destroy.before")
        if not with_data:
            needing = sum(kek in file.keks() for file in _files(lake, pipeline, zone, further))
            if needing:
                raise _needed(pipeline, zone, kek, needing)
        faults.reach("lake.destroy.unused")
        lake.keys.destroy(pipeline, zone, kek)
        faults.reach("lake.destroy.after")


def needed(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile] = ()) -> Counter[str]:
    """How many files need each key-encryption key of the zone, by its id; a file that does not say counts for none."""
    return Counter(kek for file in _files(lake, pipeline, zone, further) for kek in _keks(file))


def needed_by_secrets(lake: Lake, pipeline: str) -> frozenset[str]:
    """Key-encryption keys that the pipeline's secrets need: without them no zone's pointers and manifests open."""
    return _keks(secrets_file(lake.root, pipeline))


def audit_signer(folder: Path, pipeline: str) -> KeyFile:
    """The file of the signing key of a pipeline's audit trail in `folder`, for zone `audit`."""
    return KeyFile(folder / "signer.json", folder / "append.lock", "wrapped", f"{AUDIT}/{pipeline}/signer.json", "keys")


def _current(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile]) -> tuple[str, bool]:
    """The key to wrap under: a new one, unless some file is not yet under the one that is current."""
    faults.reach("lake.rotate.before")
    with _alone(lake, pipeline, zone, further):
        held = {k.id: k.current for k in lake.keys.keys(pipeline) if k.zone == zone and not k.destroyed}
        current = next((kek for kek, is_current in held.items() if is_current), None)
        resumed = current is not None and any(
            kek in held and kek != current for file in _files(lake, pipeline, zone, further) for kek in _keks(file)
        )
        kek = current if current is not None and resumed else lake.keys.rotate(pipeline, zone)
    faults.reach("lake.rotate.made")
    return kek, resumed


def _keks(file: KeyFile) -> frozenset[str]:
    """Those of a damaged file: none; `rotate` tells of it when it comes to the file."""
    try:
        return file.keks()
    except Tampered:
        return frozenset()


def _rewrap(lake: Lake, pipeline: str, zone: str, file: KeyFile) -> Answer | str:
    try:
        return file.rewrap(lake.keys, pipeline, zone)
    except KeyGone:
        return "lost"


def _files(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile]) -> Iterator[KeyFile]:
    """Everything that holds keys of the zone; every version, current or not."""
    if zone == SECRETS_ZONE:
        yield secrets_file(lake.root, pipeline)
    for path in sorted((lake.root / zone / pipeline).glob(f"*/*/v*/{KEYS}")):
        if is_version(path.parent.name):
            place = str(path.parent.relative_to(lake.root))
            yield KeyFile(path, path.parents[1] / ".lock", "keys", place, "keys")
    yield from further


@contextmanager
def _alone(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile]) -> Iterator[None]:
    with ExitStack() as held:
        for folder in _folders(lake, pipeline, zone, further):
            held.enter_context(keylock.alone(folder))
        yield


@contextmanager
def _wrapping(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile]) -> Iterator[None]:
    with ExitStack() as held:
        for folder in _folders(lake, pipeline, zone, further):
            held.enter_context(keylock.wrapping(folder))
        yield


def _folders(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile]) -> list[Path]:
    """Where keys of the zone are stored, in one order for everybody."""
    found = {lake.root / zone / pipeline, *(file.path.parent for file in further)}
    return sorted(folder for folder in found if folder.is_dir())


def _check(lake: Lake, pipeline: str, zone: str, further: Sequence[KeyFile]) -> None:
    check_name("pipeline", pipeline)
    if zone not in (*get_args(Zone), AUDIT):
        need = f"one of {', '.join((*get_args(Zone), AUDIT))}"
        raise Terminal("zone", need=need, got="another name", remedy="Name the zone whose key it is.")
    if not _folders(lake, pipeline, zone, further):
        remedy = "Look at `kedge keys list`: keys are made when the pipeline first stores something."
        raise Terminal(f"{zone}/{pipeline}", need="a pipeline that stores something there", got="none", remedy=remedy)


def _needed(pipeline: str, zone: str, kek: str, needing: int) -> Terminal:
    return Terminal(
        f"{zone}/{pipeline} (keys)",
        need=f"a key-encryption key that nothing needs any more, to destroy {kek}",
        got=f"one that {needing} {'file needs' if needing == 1 else 'files need'}",
        remedy="Run `kedge keys rotate` first; or destroy it with its data (`--with-data`): they are gone for good.",
    )


def _not_all(damaged: Sequence[Tampered]) -> Tampered:
    first = damaged[0]
    got = f"{first.got} ({len(damaged)} such {'file' if len(damaged) == 1 else 'files'}; all others are done)"
    return Tampered(first.setting, need=first.need, got=got, remedy=first.remedy, part=first.part or "keys")
