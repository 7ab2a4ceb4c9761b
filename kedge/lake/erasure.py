"""The erasure counter: how a lake tells that it was restored from a backup which still holds erased people.

`restricted/<pipeline>/erasures.json` counts the erasures done in this lake, the key provider counts them outside it. A
lake that counts fewer is refused. An erasure counts last, after nothing of the person is left: every copy that
holds the person then counts fewer than the provider. Three steps, each of which may be the last of a killed process:
the lake says that it is about to count, the provider counts, the lake follows. In between the provider may be one
ahead; a copy of that moment holds the person no more.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Part, Tampered, Terminal
from kedge.keys import KeyProvider
from kedge.lake.seal import opened, sealed
from kedge.spec.canonical import as_written

faults.register("lake.erasures", steps=durable.REPLACE)

_FILE, _LOCK = "erasures.json", ".lock"
_FORMAT = 1
_PURPOSE = b"kedge.erasures"


class RestoredLake(Terminal):
    """The lake is a backup from before an erasure: nobody edited it, and it holds people who were erased."""

    part: Part | None = "lake"


class Erasures:
    """The counter of one pipeline, on both sides.

    Args:
        folder: `restricted/<pipeline>` of the lake.
        secret: the pipeline's `digest` secret.
    """

    def __init__(self, folder: Path, pipeline: str, secret: bytes, keys: KeyProvider) -> None:
        self._folder, self._pipeline, self._secret, self._keys = folder, pipeline, secret, keys

    def check(self) -> None:
        """Refuse a lake and a provider that do not fit each other.

        Raises:
            RestoredLake: the lake counts fewer: it was restored from a backup made before an erasure.
            Tampered: the provider counts fewer: it is an older copy; or the lake's file was edited.
        """
        if self._wrong() is not None and self._folder.is_dir():
            with durable.storage(self._place), durable.lock(self._folder / _LOCK):
                wrong = self._wrong()  # the first look may have fallen between the two sides of a count
            if wrong is not None:
                raise wrong

    def count(self) -> int:
        """Count an erasure that is done; a rerun after a crash may count it twice, which harms nobody.

        Returns:
            the new number.

        Raises:
            RestoredLake, Tampered: as `check`.
        """
        with durable.storage(self._place), durable.lock(self._folder / _LOCK):
            wrong = self._wrong()
            if wrong is not None:
                raise wrong
            self._write(self._keys.erasures(self._pipeline), counting=True)
            counted = self._keys.count_erasure(self._pipeline)
            self._write(counted, counting=False)
        return counted

    def _wrong(self) -> Terminal | None:
        found = self._read()
        count, counting = found["count"], found["counting"]
        outside = self._keys.erasures(self._pipeline)
        if outside == count or (counting and outside == count + 1):
            return None
        return self._restored(count, outside) if count < outside else self._older_keys(count, outside)

    def _read(self) -> Mapping[str, Any]:
        try:
            content = as_written((self._folder / _FILE).read_bytes())
            body = opened(content, self._secret, _PURPOSE, self._place)
        except FileNotFoundError:
            return {"count": 0, "counting": False}
        except (ValueError, TypeError, AttributeError):
            body = None
        if body is not None:
            return body
        raise Tampered(
            self._place,
            need="the counter of erasures as it was written there",
            got="bytes that are none, one that was edited, or that of another pipeline",
            remedy="Restore the file from a backup made after the last erasure.",
            part="lake",
        )

    def _write(self, count: int, *, counting: bool) -> None:
        durable.sweep(self._folder)
        body = sealed({"format": _FORMAT, "count": count, "counting": counting}, self._secret, _PURPOSE, self._place)
        durable.replace(self._folder / _FILE, json.dumps(body).encode(), mode=0o600, point="lake.erasures")

    @property
    def _place(self) -> str:
        return f"restricted/{self._pipeline}/{_FILE}"

    def _restored(self, count: int, outside: int) -> RestoredLake:
        return RestoredLake(
            self._place,
            need=f"a lake that counts {outside} erasures, as its key provider does",
            got=f"one that counts {count}: a backup made before people were erased",
            remedy="Restore a newer backup, made after the last erasure: this one still holds people who were erased.",
        )

    def _older_keys(self, count: int, outside: int) -> Tampered:
        return Tampered(
            self._place,
            need=f"a key provider that counts {count} erasures, as the lake does",
            got=f"one that counts {outside}: an older copy of the key ring",
            remedy="Restore the newest backup of KEDGE_KEYS: an older ring still holds keys that were destroyed.",
            part="ring",
        )
