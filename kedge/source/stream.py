"""From a file's bytes to UTF-8 text: unpacked, decoded and hashed on the way, in constant memory.

What is wrong with the bytes is kept as a sentence in `problem`, because Python's own errors hold the bytes
(`UnicodeDecodeError.object`) and would carry them into tracebacks.
"""

import codecs
import gzip
import hashlib
import io
import zlib
from typing import BinaryIO

from kedge.source.file import CHUNK

# A zip bomb unpacks to about 1,000 times its size, tables of people to 3 to 30 times.
MAX_RATIO = 200
_FREE_BYTES = 64 << 20


class Hashed(io.RawIOBase):
    """Hands a file through and hashes what was really read (BLAKE2b, 32 bytes, under `key`)."""

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        self._file, self._hash, self.num_bytes = file, hashlib.blake2b(key=key, digest_size=32), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        chunk = self._file.read(len(view))
        view[: len(chunk)] = chunk
        self._hash.update(chunk)
        self.num_bytes += len(chunk)
        return len(chunk)

    def keyed(self) -> str:
        """Digest of the whole file; reads what is left of it first."""
        while self.read(CHUNK):
            pass
        return self._hash.hexdigest()


class Text(io.RawIOBase):
    """UTF-8 bytes of a delivery, whatever it was packed and encoded in; a byte order mark is gone.

    Attributes:
        problem: what is wrong with the bytes, once reading has failed.
        num_quotes: double quotes seen so far; an odd number at the end means that a quoted text is not closed.
    """

    def __init__(self, file: Hashed, *, gzipped: bool, encoding: str) -> None:
        self._raw = file
        self._file: io.RawIOBase | gzip.GzipFile = gzip.GzipFile(fileobj=file) if gzipped else file
        encoding = "utf-8-sig" if encoding == "utf-8" else encoding
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._encoding, self._ready, self._ended = encoding, b"", False
        self.problem: str | None = None
        self.num_quotes = self.num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object, /) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._ready and not self._ended:
            self._ready = self._next()
            self.num_quotes += self._ready.count(b'"')
        chunk, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(chunk)] = chunk
        return len(chunk)

    def _next(self) -> bytes:
        """The next piece of text; an empty one at the end of the file or in the middle of a character."""
        try:
            chunk = self._file.read(CHUNK) or b""
            self._ended = not chunk
            self.num_bytes += len(chunk)
            if self.num_bytes > max(_FREE_BYTES, MAX_RATIO * self._raw.num_bytes):
                self.problem = f"a file that unpacks to more than {MAX_RATIO} times its size"
            else:
                return self._decoder.decode(chunk, final=self._ended).encode()
        except EOFError:
            self.problem = "a gzip file that ends too early"
        except (gzip.BadGzipFile, zlib.error):
            self.problem = "a damaged gzip file, or none at all"
        except UnicodeError:
            self.problem = f"bytes that are no {self._encoding.removesuffix('-sig')}"
        raise OSError(self.problem)  # outside of the handlers: nothing is chained to it
