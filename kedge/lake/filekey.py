"""The key of one stored file, for a process that may read this file and nothing else of the lake."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FileKey:
    """Enough to open one file; prints no key.

    Attributes:
        path: of the encrypted file.
        key: its data key, 32 bytes.
        aad: its additional authenticated data, the AAD prefix of a Parquet file.
    """

    path: Path
    key: bytes = field(repr=False)
    aad: bytes

    def to_json(self) -> dict[str, str]:
        """For a pipe, never for a file: it holds the key."""
        return {"path": str(self.path), "key": base64.b64encode(self.key).decode(), "aad": self.aad.decode()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "FileKey":
        return cls(Path(data["path"]), base64.b64decode(data["key"]), str(data["aad"]).encode())
