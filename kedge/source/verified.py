"""A file that is read in any order, and still only the bytes that were hashed."""

import hashlib
import io
from typing import BinaryIO

from kedge.source.file import CHUNK


class Verified(io.RawIOBase):
    """Reads a file once to hash it, as a whole and in pieces; whatever is handed out later is compared with its piece.

    Attributes:
        keyed: BLAKE2b of the whole file under the key.
        size: of the file in bytes.
        problem: said once a piece was not what it had been.
    """

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        whole, self._pieces = hashlib.blake2b(key=key, digest_size=32), list[bytes]()
        self._file, self._at, self.size = file, 0, 0
        self._held: tuple[int, bytes] = (-1, b"")
        self.problem: str | None = None
        while piece := self._piece(len(self._pieces)):
            whole.update(piece)
            self._pieces.append(_digest(piece))
            self.size += len(piece)
        self.keyed = whole.hexdigest()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: object, /) -> int:
        """Fill the buffer but at the end of the file: pyarrow takes a short read for the end."""
        view, filled = memoryview(buffer), 0  # type: ignore[arg-type]
        while filled < len(view) and self._at < self.size:
            number, start = divmod(self._at, CHUNK)
            chunk = self._checked(number)[start : start + len(view) - filled]
            view[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
            self._at += len(chunk)
        return filled

    def _checked(self, number: int) -> bytes:
        if self._held[0] != number:
            piece = self._piece(number)
            if _digest(piece) != self._pieces[number]:
                self.problem = "other bytes than a moment ago"
                raise OSError(self.problem)
            self._held = number, piece
        return self._held[1]

    def _piece(self, number: int) -> bytes:
        """Up to `CHUNK` bytes from `number * CHUNK` on; an unbuffered file may give fewer than asked for."""
        self._file.seek(number * CHUNK)
        parts: list[bytes] = []
        while (left := CHUNK - sum(map(len, parts))) and (part := self._file.read(left)):
            parts.append(part)
        return b"".join(parts)


def _digest(piece: bytes) -> bytes:
    return hashlib.blake2b(piece, digest_size=32).digest()
