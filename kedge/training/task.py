"""What the training process is told, over a pipe: which files, which of their rows, and what to make of them.

It holds the data keys of the files and a fresh one for what the process leaves, and nothing else that is secret.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self


@dataclass(frozen=True)
class LabelFile:
    """The encrypted file with the outcomes of a night's rows, where they arrived later.

    Attributes:
        path, key, aad: of the file, see `kedge.lake.FileKey`.
        columns: what to read there.
    """

    path: Path
    key: bytes = field(repr=False)
    aad: str
    columns: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        key = base64.b64encode(self.key).decode()
        return {"path": str(self.path), "key": key, "aad": self.aad, "columns": list(self.columns)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(Path(data["path"]), base64.b64decode(data["key"]), data["aad"], tuple(data["columns"]))


@dataclass(frozen=True)
class Night:
    """One encrypted file and which of its rows train.

    Attributes:
        path, key, aad: of the file, see `kedge.lake.FileKey`.
        train, validation: packed bits by `_row`, little-endian: bit i of `train` says whether row i trains.
        labels: where the outcomes are; None if they stand in the file itself.
    """

    path: Path
    key: bytes = field(repr=False)
    aad: str
    train: bytes
    validation: bytes
    labels: LabelFile | None = None

    def to_json(self) -> dict[str, Any]:
        binary = {name: base64.b64encode(getattr(self, name)).decode() for name in ("key", "train", "validation")}
        labels = self.labels.to_json() if self.labels else None
        return {"path": str(self.path), "aad": self.aad, "labels": labels, **binary}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        binary = {name: base64.b64decode(data[name]) for name in ("key", "train", "validation")}
        labels = LabelFile.from_json(data["labels"]) if data["labels"] else None
        return cls(path=Path(data["path"]), aad=data["aad"], labels=labels, **binary)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One training.

    Attributes:
        nights: oldest first.
        features: name and kind of each.
        target, positive, subject, kind, exposure: as in `fit.Examples`.
        device: auto, cpu or cuda.
        config: see `Config.to_json`.
        key: seals what the process leaves, 32 bytes; used for nothing else.
    """

    nights: Sequence[Night]
    features: Sequence[tuple[str, Literal["numeric", "category"]]]
    target: str
    positive: str
    subject: str | None
    device: str
    config: Mapping[str, Any]
    key: bytes = field(repr=False)
    kind: Literal["binary", "regression", "count"] = "binary"
    exposure: str | None = None

    def to_bytes(self) -> bytes:
        """For the pipe, never for a file: it holds keys."""
        nights = [night.to_json() for night in self.nights]
        return json.dumps({**self.__dict__, "nights": nights, "key": base64.b64encode(self.key).decode()}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The task that `to_bytes` gave."""
        content = json.loads(data)
        nights = tuple(Night.from_json(night) for night in content.pop("nights"))
        features = tuple((name, kind) for name, kind in content.pop("features"))
        key = base64.b64decode(content.pop("key"))
        return cls(nights=nights, features=features, key=key, **content)
