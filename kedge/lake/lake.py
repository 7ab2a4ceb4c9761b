"""The lake: encrypted, versioned datasets in `<root>/<zone>/<pipeline>/<dataset>/<partition>/<version>/`."""

import json
import re
import secrets
from functools import partial
from pathlib import Path

from kedge import durable, faults
from kedge.errors import KedgeError, Tampered, Terminal
from kedge.keys import KeyProvider, create_keys, open_keys
from kedge.lake.dataset import Dataset
from kedge.lake.erasure import Erasures
from kedge.lake.hooks import Journal, LeaveOut
from kedge.lake.names import Zone
from kedge.lake.secret import Secrets, open_secrets
from kedge.settings import KeyPlace
from kedge.spec.canonical import as_written
from kedge.spec.names import check_name

faults.register("lake.create", steps=durable.REPLACE)

FILE = "lake.json"
_FORMAT = 1
_ID = re.compile(r"l[0-9a-f]{32}")


class Lake:
    """All stored data of an installation.

    Attributes:
        root: its folder.
        id: random, made with the lake; its keys are kept under this id.
        keys: wraps and unwraps data keys.
        run: who writes, named in conflicts.
        journal, leave_out: hooks, see `kedge.lake.hooks`.
    """

    def __init__(
        self,
        root: Path,
        lake_id: str,
        keys: KeyProvider,
        *,
        run: str | None = None,
        journal: Journal | None = None,
        leave_out: LeaveOut | None = None,
    ) -> None:
        self.root, self.id, self.keys = root, lake_id, keys
        self.run, self.journal, self.leave_out = run, journal, leave_out
        self._secrets: dict[str, Secrets] = {}

    def __repr__(self) -> str:
        return f"Lake({self.id})"

    @classmethod
    def open(
        cls,
        root: Path,
        keys: Path | KeyPlace,
        *,
        run: str | None = None,
        journal: Journal | None = None,
        leave_out: LeaveOut | None = None,
    ) -> "Lake":
        """Open the lake at `root`; the first time makes it, with its own key-encryption keys.

        Args:
            keys: who keeps them; a folder stands for key rings in it, each with its key file.

        Raises:
            Terminal: the keys of an existing lake are not there, cannot be unlocked, or lie inside the lake.
            Tampered: `lake.json` is damaged, or missing although there are data.
        """
        place = keys if isinstance(keys, KeyPlace) else KeyPlace(folder=keys)
        if place.folder.resolve().is_relative_to(root.resolve()):
            need, got = "a folder outside the lake", "a folder inside it"
            raise Terminal("KEDGE_KEYS", need=need, got=got, remedy="Point it elsewhere.")
        lake_id = _read_id(root)
        if lake_id is None:
            lake_id = _create(root, place)
        return cls(root, lake_id, open_keys(place, lake_id), run=run, journal=journal, leave_out=leave_out)

    def dataset(self, zone: Zone, pipeline: str, name: str) -> Dataset:
        """Handle on a dataset.

        Raises:
            Terminal: a name is not on the allow-list.
        """
        return Dataset(self, zone, pipeline, name)

    def secrets(self, pipeline: str) -> Secrets:
        """The stable secrets of a pipeline; made at first use.

        Raises:
            KeyGone: their key-encryption key was destroyed.
            RestoredLake: the lake is a backup from before an erasure.
            Tampered: they are damaged, or the key provider is older than the lake.
        """
        if pipeline not in self._secrets:
            self._secrets[pipeline] = self._opened(check_name("pipeline", pipeline))
        return self._secrets[pipeline]

    def count_erasure(self, pipeline: str) -> int:
        """Count an erasure of which nothing is left to do: copies of the lake made before are refused from now on.

        Returns:
            how many there were.
        """
        return self._erasures(pipeline, self.secrets(pipeline)).count()

    def _erasures(self, pipeline: str, secrets: Secrets) -> Erasures:
        return Erasures(self.root / "restricted" / pipeline, pipeline, secrets.digest, self.keys)

    def _opened(self, pipeline: str) -> Secrets:
        try:
            found = open_secrets(self.root, pipeline, self.keys, partial(self._denied, pipeline))
            self._erasures(pipeline, found).check()
            return found
        except KedgeError as error:
            self._denied(pipeline, error)
            raise

    def _denied(self, pipeline: str, error: KedgeError) -> None:
        if self.journal and isinstance(error, Terminal):
            what = {"file": "secrets.json", "what": type(error).__name__}
            self.journal.denied({"zone": "restricted", "pipeline": pipeline, **what})


def _read_id(root: Path) -> str | None:
    try:
        content = as_written((root / FILE).read_bytes())
        found = str(content["id"]) if content["format"] == _FORMAT else ""
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        found = ""
    if _ID.fullmatch(found):
        return found
    raise _damaged("bytes that name no lake")


def _create(root: Path, place: KeyPlace) -> str:
    """Make lake and keys; of two processes one makes them and the other finds them."""
    with durable.storage("KEDGE_HOME (the lake)"):
        durable.make_folder(root, mode=0o700)
        with durable.lock(root / ".lock"):
            found = _read_id(root)
            if found:
                return found
            if any((root / zone).exists() for zone in ("restricted", "open")):
                raise _damaged("no such file, although the lake holds data")
            durable.sweep(root)
            lake_id = f"l{secrets.token_hex(16)}"
            create_keys(place, lake_id)  # first: a lake without its keys could never be opened again
            durable.replace(root / FILE, json.dumps({"format": _FORMAT, "id": lake_id}).encode(), point="lake.create")
            return lake_id


def _damaged(got: str) -> Tampered:
    need, remedy = "the id of the lake", "Restore the file from a backup: the key ring is kept under this id."
    return Tampered(FILE, need=need, got=got, remedy=remedy, part="lake")
