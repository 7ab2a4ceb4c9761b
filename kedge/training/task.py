"""What the training process is told, over a pipe: which files, which of their rows, and what to make of them.

It holds the data keys of the files, and nothing else that is secret.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Night:
    """One encrypted file and which of its rows train.

    Attributes:
        path, key, aad: of the file, see `kedge.lake.FileKey`.
        train, validation: packed bits by `_row`, little-endian: bit i of `train` says whether row i trains.
    """

    path: Path
    key: bytes = field(repr=False)
    aad: str
    train: bytes
    validation: bytes

    def to_json(self) -> dict[str, str]:
        binary = {name: base64.b64encode(getattr(self, name)).decode() for name in ("key", "train", "validation")}
        return {"path": str(self.path), "aad": self.aad, **binary}

    @classmethod
    def from_json(cls, data: Mapping[str, str]) -> Self:
        binary = {name: base64.b64decode(data[name]) for name in ("key", "train", "validation")}
        return cls(path=Path(data["path"]), aad=data["aad"], **binary)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One training.

    Attributes:
        nights: oldest first.
        features: name and kind of each.
        target, positive, subject: as in `fit.Examples`.
        device: auto, cpu or cuda.
        config: see `Config.to_json`.
    """

    nights: Sequence[Night]
    features: Sequence[tuple[str, Literal["numeric", "category"]]]
    target: str
    positive: str
    subject: str | None
    device: str
    config: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """For the pipe, never for a file: it holds keys."""
        nights = [night.to_json() for night in self.nights]
        return json.dumps({**self.__dict__, "nights": nights}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The task that `to_bytes` gave."""
        content = json.loads(data)
        nights = tuple(Night.from_json(night) for night in content.pop("nights"))
        features = tuple((name, kind) for name, kind in content.pop("features"))
        return cls(nights=nights, features=features, **content)
