"""A file that holds wrapped keys: which key-encryption keys it needs, and the file again under the current one."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from kedge import durable, faults
from kedge.errors import Part, Tampered
from kedge.keys.provider import KeyGone, KeyProvider, Wrapped
from kedge.spec.canonical import as_written

faults.register("keys.rewrap", steps=durable.REPLACE)

Answer: TypeAlias = Literal["rewrapped", "current", "missing"]


def unwrap_latest(read: Callable[[], Wrapped], unwrap: Callable[[Wrapped], bytes]) -> bytes:
    """Read a wrapped key and unwrap it. When its key-encryption key is gone it is read again: a rotation may have
    replaced the file after the first look, and the old key be destroyed.

    Raises:
        KeyGone: it is gone, and the file still says the same.
    """
    wrapped = read()
    while True:
        try:
            return unwrap(wrapped)
        except KeyGone:
            before, wrapped = wrapped, read()
            if wrapped == before:
                raise


@dataclass(frozen=True)
class KeyFile:
    """One JSON file with wrapped keys of one (pipeline, zone); it is replaced as a whole, never in part.

    Attributes:
        path: of the file.
        lock: what everybody holds who replaces or removes the file.
        field: where in the file the wrapped keys stand: one, or several by name.
        place: the context of a single wrapped key; that of several is `<place>/<name>`.
        part: what the file is part of, for its error.
    """

    path: Path
    lock: Path
    field: str
    place: str
    part: Part

    def keks(self) -> frozenset[str]:
        """Ids of the key-encryption keys it needs; none when the file is not there.

        Raises:
            Tampered: the file holds no wrapped keys.
        """
        found = self._read()
        return frozenset(str(wrapped["kek"]) for wrapped in found[1].values()) if found else frozenset()

    def rewrap(self, keys: KeyProvider, pipeline: str, zone: str) -> Answer:
        """Replace the file by one whose keys are wrapped under the current key-encryption key; the keys stay.

        Returns:
            `current` if it was so already, `missing` if it is not there any more.

        Raises:
            KeyGone: what it is wrapped under was destroyed.
            Tampered: the file holds no wrapped keys, or those of another place.
        """
        if not self.path.parent.is_dir():
            return "missing"
        with durable.lock(self.lock):
            found = self._read()
            if found is None:
                return "missing"
            content, old = found
            durable.sweep(self.path.parent)
            new = {c: keys.rewrap(pipeline, zone, wrapped, c.encode()) for c, wrapped in old.items()}
            if new == old:
                return "current"
            data = json.dumps({**content, self.field: self._as_field(new)}, indent=1).encode()
            durable.replace(self.path, data, mode=self.path.stat().st_mode & 0o777, point="keys.rewrap")
            return "rewrapped"

    def _read(self) -> tuple[Mapping[str, Any], dict[str, Wrapped]] | None:
        """What the file holds, and its wrapped keys by context; None when it is not there."""
        try:
            content = as_written(self.path.read_bytes())
            field = content[self.field]
            single = isinstance(field.get("kek"), str)
            wrapped = {self.place: field} if single else {f"{self.place}/{name}": w for name, w in field.items()}
            if all(isinstance(w["kek"], str) for w in wrapped.values()):
                return content, wrapped
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise self._damaged()

    def _as_field(self, wrapped: Mapping[str, Wrapped]) -> Mapping[str, Any]:
        if self.place in wrapped:
            return wrapped[self.place]
        return {context.removeprefix(f"{self.place}/"): w for context, w in wrapped.items()}

    def _damaged(self) -> Tampered:
        return Tampered(
            self.place if self.place.endswith(self.path.name) else f"{self.place}/{self.path.name}",
            need="wrapped keys",
            got="bytes that hold none",
            remedy="Restore the file from a backup.",
            part=self.part,
        )
