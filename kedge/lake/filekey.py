"""The key of one stored file, for a process that may read this file and nothing else of the lake."""

from dataclasses import dataclass, field
from pathlib import Path


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
