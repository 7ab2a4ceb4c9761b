"""The stable secrets of a pipeline: made once, wrapped, re-wrapped by rotation, never changed.

Tokens, hold-out groups and digests stay comparable over the years only while their secrets stay the same; so a lost
secrets file is an error, never a reason to make new ones.
"""

import json
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from kedge import durable, faults
from kedge.errors import KedgeError, Tampered
from kedge.keys import KeyProvider, keylock, new_key
from kedge.keys.keyfile import KeyFile, unwrap_latest
from kedge.spec.canonical import as_written

faults.register("lake.secrets", steps=durable.REPLACE)

_PURPOSES = ("token", "holdout", "digest", "index")
_FILE = "secrets.json"
_FORMAT = 1
ZONE = "restricted"

Denied: TypeAlias = Callable[[KedgeError], None]


class Secrets:
    """Secrets of one pipeline, 32 bytes each. Prints nothing of them.

    Each use unwraps again, so that none outlives its key-encryption key: 0.06 ms with the key ring. A key service is
    asked again after the seconds that it is trusted.

    Attributes:
        holdout: decides by keyed hash who is held out.
        digest: keys content digests and manifests' seals.
        index: keys the index of subjects.
    """

    def __init__(self, unwrap: Callable[[str], bytes], denied: Denied, trusted_seconds: float) -> None:
        self._ask, self._denied, self._seconds = unwrap, denied, trusted_seconds
        self._held: dict[str, tuple[bytes, float]] = {}

    def __repr__(self) -> str:
        return "Secrets(***)"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("secrets do not travel between processes: open the lake there")

    def token(self, domain: str) -> bytes:
        """Key of the tokens of one domain: columns of the same domain get the same token for the same person."""
        return blake2b(domain.encode(), key=self._unwrap("token"), digest_size=32, person=b"kedge.token").digest()

    def _unwrap(self, purpose: str) -> bytes:
        value, until = self._held.pop(purpose, (b"", 0.0))
        if monotonic() >= until:
            try:
                value, until = self._ask(purpose), monotonic() + self._seconds
            except KedgeError as error:
                self._denied(error)
                raise
        if self._seconds:
            self._held[purpose] = value, until
        return value

    @property
    def holdout(self) -> bytes:
        return self._unwrap("holdout")

    @property
    def digest(self) -> bytes:
        return self._unwrap("digest")

    @property
    def index(self) -> bytes:
        return self._unwrap("index")


def open_secrets(root: Path, pipeline: str, keys: KeyProvider, denied: Denied) -> Secrets:
    """The secrets of `pipeline` below the lake `root`; made at first use, one process alone makes them.

    Args:
        denied: told when they opened now and do not open at a later use.

    Raises:
        Tampered: the file is damaged, or it is missing although the pipeline has data.
        KeyGone: their key-encryption key is; later uses raise it too.
    """
    folder = root / ZONE / pipeline
    path = folder / _FILE
    if not path.exists():
        _make(root, pipeline, keys)
    found = Secrets(partial(_unwrap, path, pipeline, keys), denied, keys.trusted_seconds)
    for purpose in _PURPOSES:
        _unwrap(path, pipeline, keys, purpose)
    return found


def secrets_file(root: Path, pipeline: str) -> KeyFile:
    """The file of the secrets, for a rotation."""
    folder = root / ZONE / pipeline
    place = f"{ZONE}/{pipeline}/{_FILE}"
    return KeyFile(folder / _FILE, folder / ".lock", "secrets", place, "secrets")


def _make(root: Path, pipeline: str, keys: KeyProvider) -> None:
    folder = root / ZONE / pipeline
    with durable.storage(f"{ZONE}/{pipeline}"):
        durable.make_folder(folder, mode=0o700)
        with keylock.wrapping(folder), durable.lock(folder / ".lock"):
            if (folder / _FILE).exists():
                return
            _refuse_loss(root, pipeline)
            durable.sweep(folder)
            wrapped = {p: keys.wrap(pipeline, ZONE, new_key(), _context(pipeline, p)) for p in _PURPOSES}
            data = json.dumps({"format": _FORMAT, "pipeline": pipeline, "secrets": wrapped}, indent=1).encode()
            durable.replace(folder / _FILE, data, mode=0o600, point="lake.secrets")


def _refuse_loss(root: Path, pipeline: str) -> None:
    if next(root.glob(f"*/{pipeline}/*/*/v*"), None):
        raise _damaged(pipeline, "no such file, although the pipeline has data")


def _parse(path: Path, pipeline: str) -> dict[str, dict[str, str]]:
    damaged = _damaged(pipeline, "bytes that are not the secrets of this pipeline")
    try:
        content = as_written(path.read_bytes())
        wrapped = dict(content["secrets"])
        ours = content["format"] == _FORMAT and content["pipeline"] == pipeline
        complete = ours and set(wrapped) == set(_PURPOSES)
    except FileNotFoundError:
        raise _damaged(pipeline, "no such file") from None
    except (ValueError, KeyError, TypeError):
        raise damaged from None
    if not complete:
        raise damaged
    return wrapped


def _unwrap(path: Path, pipeline: str, keys: KeyProvider, purpose: str) -> bytes:
    context = _context(pipeline, purpose)
    try:
        return unwrap_latest(
            lambda: _parse(path, pipeline)[purpose], lambda wrapped: keys.unwrap(pipeline, ZONE, wrapped, context)
        )
    except Tampered as error:  # a ring that was edited meanwhile stays one
        raise error.of("secrets") if error.part in ("key", "keys") else error from None


def _context(pipeline: str, purpose: str) -> bytes:
    return f"{ZONE}/{pipeline}/{_FILE}/{purpose}".encode()


def _damaged(pipeline: str, got: str) -> Tampered:
    return Tampered(
        f"{ZONE}/{pipeline}/{_FILE}",
        need="the wrapped secrets of the pipeline",
        got=got,
        remedy="Restore the file from a backup: new secrets would give every person a new token.",
        part="secrets",
    )
