"""A stored version: immutable files, their manifest and their wrapped keys."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from kedge.errors import KedgeError, Part, Tampered, Terminal
from kedge.keys import Wrapped, WrongKey
from kedge.keys.keyfile import unwrap_latest
from kedge.lake import blob, parquet
from kedge.lake.filekey import FileKey
from kedge.lake.manifest import Manifest, read_manifest
from kedge.lake.names import KEYS, KEYS_FORMAT, MANIFEST, ROWS, check_partition, check_version
from kedge.lake.whole import check_file_whole
from kedge.spec.canonical import as_written

if TYPE_CHECKING:
    from kedge.lake.dataset import Dataset


class Version:
    """One version of one partition of a dataset.

    Attributes:
        dataset, partition, id: which one.
        path: its folder.
    """

    def __init__(self, dataset: "Dataset", partition: str, version: str) -> None:
        self.dataset, self.partition, self.id = dataset, check_partition(partition), check_version(version)
        self.path = dataset.path / self.partition / self.id

    def __repr__(self) -> str:
        return f"Version({self.place})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def place(self) -> str:
        """`zone/pipeline/dataset/partition/version`."""
        return place(self.dataset, self.partition, self.id)

    @cached_property
    def manifest(self) -> Manifest:
        """What the version is, with its seal verified.

        Raises:
            Tampered: the manifest is missing, edited, or belongs to another place.
        """
        found = read_manifest(self.path / MANIFEST, self.dataset.secrets.digest, self.place)
        where = "/".join((found.zone, found.pipeline, found.dataset, found.partition, found.version))
        if where == self.place:
            return found
        got = f"the manifest of {where}: a swapped version"
        raise _tampered(f"{self.place}/{MANIFEST}", "the manifest that was written there", got, "manifest")

    def scan(self, name: str = ROWS) -> pl.LazyFrame:
        """Lazy frame over a stored frame, without the people who must be left out.

        Raises:
            Tampered: the file is not what was written.
            Terminal: its key is not in the ring.
        """
        key = self._given(name)
        with self._denials(name):
            frame = parquet.scan_parquet(key.path, key.key, key.aad)
        return self.dataset.left_out(frame)

    def batches(
        self, rows: int = 65_536, columns: Sequence[str] | None = None, name: str = ROWS
    ) -> Iterator[pl.DataFrame]:
        """The rows in order, at most `rows` at a time, in flat memory; no batch when there is no row."""
        frame = self.scan(name)
        chosen = frame if columns is None else frame.select(list(columns))
        return parquet.batches(chosen, rows, f"{self.place}/{name}")

    def read_bytes(self, name: str) -> bytes:
        """Plaintext of a file that is no frame.

        Raises:
            Tampered: the file is not what was written.
        """
        key = self._given(name)
        with self._denials(name):
            return blob.open_blob(key.path.read_bytes(), key.key, key.aad)

    def file_keys(self, names: Iterable[str] | None = None) -> list[FileKey]:
        """Keys of these files (default: all), for a process that reads them without the lake.

        Raises:
            Terminal: people must be left out, which such a process cannot know.
        """
        if self.dataset.leaves_out:
            raise Terminal(
                self.place,
                need="a reader that leaves out the people who are to be erased",
                got="a request for the bare file",
                remedy="Read it with scan() or batches(), or finish the erasure first.",
            )
        return [self._given(name) for name in (self.manifest.files if names is None else names)]

    def check_whole(self) -> None:
        """Verify manifest, every file and every wrapped key; nothing is decrypted, so that this is no read.

        Raises:
            Tampered: something is not what was written.
            Terminal: a key is not in the ring.
        """
        for name in self.manifest.files:
            self._checked(name)

    def check_file(self, name: str) -> None:
        """Verify one file and its wrapped key, as `check_whole` does."""
        self._checked(name)

    def check_keys(self) -> None:
        """Make sure that there are keys of the version's files and of no others; none is unwrapped.

        Raises:
            Tampered: there are others, or none at all.
        """
        if self._keys().keys() != self.manifest.files.keys():
            raise self._keys_tampered("those of other files")

    def is_whole(self) -> bool:
        """Whether `check_whole` finds nothing wrong with the stored bytes."""
        try:
            self.check_whole()
        except Tampered:
            return False
        return True

    def _given(self, name: str) -> FileKey:
        """The key of a file whose content is given now: the journal knows before anybody reads."""
        self._verify(name)
        with self._denials(name):
            key = self._file_key(name)
        if journal := self.dataset.lake.journal:
            journal.read(self._told)
        return key

    @contextmanager
    def _denials(self, name: str) -> Iterator[None]:
        """Tell the journal when what happens inside does not open."""
        try:
            yield
        except KedgeError as error:
            if journal := self.dataset.lake.journal:
                journal.denied({**self._told, "file": name, "what": type(error).__name__})
            raise

    @property
    def _told(self) -> dict[str, str]:
        dataset = self.dataset
        place = {"zone": dataset.zone, "pipeline": dataset.pipeline, "dataset": dataset.name}
        return {**place, "partition": self.partition, "version": self.id}

    def _checked(self, name: str) -> FileKey:
        self._verify(name)
        return self._file_key(name)

    def _verify(self, name: str) -> None:
        """Compare the stored bytes of a file with the manifest."""
        recorded = self.manifest.files.get(name)
        if recorded is None:
            need = f"one of {', '.join(self.manifest.files) or 'its files (it has none)'}"
            raise Terminal(self.place, need=need, got="the name of another file", remedy="Name a stored file.")
        check_file_whole(self.path / name, recorded, f"{self.place}/{name}", self._part)

    def _file_key(self, name: str) -> FileKey:
        return FileKey(self.path / name, self._key(name), f"{self.place}/{name}".encode())

    @property
    def _part(self) -> Part:
        return "model" if self.dataset.name == "model" else "data"

    def _key(self, name: str) -> bytes:
        context = f"{self.place}/{name}".encode()
        try:
            return unwrap_latest(lambda: self._wrapped(name), lambda wrapped: self.dataset.unwrap(wrapped, context))
        except WrongKey as error:  # the provider is sure of its key: it is the wrapped one that is not right
            raise error.of("keys") from None

    def _wrapped(self, name: str) -> Wrapped:
        # Read again each time: a rotation may have re-wrapped the keys.
        wrapped = self._keys().get(name)
        if isinstance(wrapped, dict):
            return wrapped
        raise self._keys_tampered("bytes that hold no such key")

    def _keys(self) -> dict[str, Any]:
        """The wrapped keys by file."""
        try:
            content = as_written((self.path / KEYS).read_bytes())
            if content["format"] == KEYS_FORMAT and isinstance(content["keys"], dict):
                return dict(content["keys"])
            got = "bytes of another format"
        except FileNotFoundError:
            got = "no such file: the keys were destroyed, or the file was removed"
        except (ValueError, KeyError, TypeError):
            got = "bytes that hold no such key"
        raise self._keys_tampered(got)

    def _keys_tampered(self, got: str) -> Tampered:
        return _tampered(f"{self.place}/{KEYS}", "the wrapped keys of its files", got, "keys")


def place(dataset: "Dataset", partition: str, version: str) -> str:
    """`zone/pipeline/dataset/partition/version`: where a version lies, and what its files are tied to."""
    return f"{dataset.place}/{partition}/{version}"


def _tampered(setting: str, need: str, got: str, part: Part) -> Tampered:
    remedy = "Restore the version from a backup, or run its stage again."
    return Tampered(setting, need=need, got=got, remedy=remedy, part=part)
