"""A version while it is being written: files nobody else can see yet."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from kedge import durable, faults
from kedge.errors import Terminal
from kedge.keys import Wrapped, new_key
from kedge.lake import blob, parquet
from kedge.lake.digest import FrameDigest, bytes_digest, combine
from kedge.lake.names import KEYS, KEYS_FORMAT, ROWS, check_file
from kedge.lake.version import place
from kedge.lake.whole import sha256

if TYPE_CHECKING:
    from kedge.lake.dataset import Dataset

faults.register("lake.write", steps=("before", "written", "after"))
faults.register("lake.keys", steps=(*durable.WRITE, "after"))
faults.register("lake.measure.after")

_DIGEST_ROWS, _DIGEST_THREADS = 65_536, 2


class Draft:
    """Where a stage writes. Every file is encrypted from its first byte and fsynced before the call returns.

    Attributes:
        dataset, partition, version: what is being written; the version id is known beforehand.
        folder: where the files are until the commit.
        rows, schema: of `rows.parquet`, or of the first frame when there is none of that name.
    """

    def __init__(self, dataset: "Dataset", partition: str, version: str, folder: Path) -> None:
        self.dataset, self.partition, self.version = dataset, partition, version
        self.rows = 0
        self.schema: tuple[tuple[str, str], ...] = ()
        self.folder = folder
        self._keys: dict[str, bytes] = {}
        self._digests: dict[str, str] = {}
        self._has_frame = False

    def __repr__(self) -> str:
        return f"Draft({place(self.dataset, self.partition, self.version)})"

    def write_frame(self, frame: pl.LazyFrame | pl.DataFrame, name: str = ROWS) -> None:
        """Store a frame, streaming where it is lazy.

        Raises:
            Terminal: the frame cannot be computed, or a file of that name was written already.
            Transient: the disk does not take it.
        """
        path, key, aad = self._begin(name, ".parquet")
        with durable.storage(self._aad(name)):
            faults.reach("lake.write.before")
            parquet.write_parquet(frame.lazy(), path, key, aad)
            self._end(path)
        self._measure(name)

    def write_bytes(self, data: bytes, name: str) -> None:
        """Store bytes; Parquet is refused, for `write_frame` is the way to store frames.

        Raises:
            Terminal: a file of that name was written already.
        """
        path, key, aad = self._begin(name, "")
        with durable.storage(self._aad(name)):
            faults.reach("lake.write.before")
            path.write_bytes(blob.seal_blob(data, key, aad))
            self._end(path)
        self._digests[name] = bytes_digest(self.dataset.secrets.digest, data)

    def read_frame(self, name: str = ROWS) -> pl.LazyFrame:
        """What was written, lazily: checks are computed on the stored files, not on what was meant to be stored."""
        if name not in self._keys:
            raise Terminal(self._aad(name), need="a written frame", got="none", remedy="Write it first.")
        return parquet.scan_parquet(self.folder / name, self._keys[name], self._aad(name).encode())

    @property
    def content_digest(self) -> str:
        """Keyed digest of the plaintext of all files."""
        return combine(self.dataset.secrets.digest, self._digests)

    def files(self) -> dict[str, dict[str, int | str]]:
        """Size and SHA-256 of every file's ciphertext."""
        paths = {name: self.folder / name for name in sorted(self._keys)}
        return {name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for name, path in paths.items()}

    def write_keys(self) -> None:
        """Wrap the keys of all files and store them; the last thing that is written, see `kedge.keys.keylock`."""
        wrapped: dict[str, Wrapped] = {n: self.dataset.wrap(k, self._aad(n).encode()) for n, k in self._keys.items()}
        data = json.dumps({"format": KEYS_FORMAT, "keys": wrapped}, indent=1).encode()
        with durable.storage(self._aad(KEYS)):
            durable.write(self.folder / KEYS, data, point="lake.keys")
            durable.sync_folder(self.folder)
            faults.reach("lake.keys.after")

    def _aad(self, name: str) -> str:
        return f"{place(self.dataset, self.partition, self.version)}/{name}"

    def _begin(self, name: str, suffix: str) -> tuple[Path, bytes, bytes]:
        check_file(name)
        if name in self._keys or name.endswith(".parquet") != (suffix == ".parquet"):
            need = f"a new file name that {'ends' if suffix else 'does not end'} in .parquet"
            raise Terminal(self._aad(name), need=need, got="another one", remedy="Rename the file.")
        self._keys[name] = new_key()
        return self.folder / name, self._keys[name], self._aad(name).encode()

    def _end(self, path: Path) -> None:
        faults.reach("lake.write.written")
        durable.sync_file(path)
        faults.reach("lake.write.after")

    def _measure(self, name: str) -> None:
        """Read the file back: what does not open again is noticed now, not in a year."""
        frame = self.read_frame(name)
        schema = frame.collect_schema()
        digest = FrameDigest(self.dataset.secrets.digest, schema)
        with ThreadPoolExecutor(_DIGEST_THREADS) as pool:
            for batch in parquet.batches(frame, _DIGEST_ROWS, self._aad(name)):
                digest.update(batch, pool.map)
        self._digests[name] = digest.hexdigest()
        if name == ROWS or not self._has_frame:
            self.rows, self.schema = digest.rows, tuple((n, str(dtype)) for n, dtype in schema.items())
        self._has_frame = True
        faults.reach("lake.measure.after")
