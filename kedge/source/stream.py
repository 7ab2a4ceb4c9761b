"""From a file's bytes to UTF-8 text: unpacked, decoded and hashed on the way, in constant memory.

What is wrong with the bytes is kept as a sentence in `problem`, because Python's own errors hold the bytes
(`UnicodeDecodeError.object`) and would carry them into tracebacks.
"""

import codecs
import gzip
import hashlib
import io
import threading
import zlib
from typing import BinaryIO

from kedge.source import limits
from kedge.source.file import CHUNK

_NEEDS_MARK = ("utf-16", "utf-32")
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
    """UTF-8 bytes of a delivery, whatever it was packed and encoded in, without a byte order mark and without comments.

    A single-byte encoding makes a text of any bytes, so that a file in UTF-8 would pass with every umlaut garbled;
    bytes beyond ASCII that are UTF-8 throughout are refused there.

    Attributes:
        problem: what is wrong with the bytes, once reading has failed.
        num_quotes: quotes seen so far; an odd number at the end means that a quoted text is not closed.
    """

    def __init__(self, file: Hashed, *, gzipped: bool, encoding: str, quote: str = "", comment: str = "") -> None:
        self._raw = file
        self._file: io.RawIOBase | gzip.GzipFile = gzip.GzipFile(fileobj=file) if gzipped else file
        self._encoding, self._ready, self._ended = encoding, b"", False
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        single = len(("ä" * 2).encode(encoding, "replace")) == 2
        self._utf8 = codecs.getincrementaldecoder("utf-8")("strict") if single else None
        self._uncommented = Uncommented(quote.encode(), comment.encode()) if comment else None
        self._quote, self._beyond_ascii = quote.encode(), False
        self.problem: str | None = None
        self.num_quotes = self.num_bytes = 0
        self._reading, self._stopped = threading.Lock(), False

    def readable(self) -> bool:
        return True

    def stop(self) -> None:
        """End here, and wait for a read that goes on: pyarrow reads ahead in a thread, which may not outlive us."""
        self._stopped = True
        with self._reading:
            self._ready, self._ended = b"", True

    def readinto(self, buffer: object, /) -> int:
        with self._reading:
            return 0 if self._stopped else self._read(memoryview(buffer))  # type: ignore[arg-type]

    def _read(self, view: memoryview) -> int:
        while not self._ready and not self._ended:
            self._ready = self._next()
            if self._uncommented is not None:
                self._ready = self._uncommented.keep(self._ready, last=self._ended)
            if self._quote:
                self.num_quotes += self._ready.count(self._quote)
        chunk, self._ready = self._ready[: len(view)], self._ready[len(view) :]
        view[: len(chunk)] = chunk
        return len(chunk)

    def _next(self) -> bytes:
        """The next piece of text; an empty one at the end of the file or in the middle of a character."""
        try:
            chunk = self._file.read(CHUNK) or b""
            self._ended = not chunk
            first = not self.num_bytes
            self.num_bytes += len(chunk)
            if self.num_bytes > max(limits.FREE_BYTES, limits.MAX_RATIO * self._raw.num_bytes):
                self.problem = f"a file that unpacks to more than {limits.MAX_RATIO} times its size"
            elif first and chunk and self._encoding in _NEEDS_MARK and not chunk.startswith(_MARKS):
                self.problem = f"no byte order mark: declare {self._encoding}-le or {self._encoding}-be"
            elif self._is_utf8(chunk):
                self.problem = f"UTF-8 where {self._encoding} is declared"
            else:
                text = self._decoder.decode(chunk, final=self._ended)
                return (text.removeprefix("\ufeff") if first else text).encode()
        except EOFError:
            self.problem = "a gzip file that ends too early"
        except (gzip.BadGzipFile, zlib.error):
            self.problem = "a damaged gzip file, or none at all"
        except UnicodeError:
            self.problem = f"bytes that are no {self._encoding}"
        raise OSError(self.problem)  # outside of the handlers: nothing is chained to it

    def _is_utf8(self, chunk: bytes) -> bool:
        """Whether a file in a single-byte encoding has ended, and its bytes beyond ASCII have all been UTF-8."""
        if self._utf8 is None:
            return False
        try:
            self._beyond_ascii = not self._utf8.decode(chunk, final=self._ended).isascii() or self._beyond_ascii
        except UnicodeError:
            self._utf8 = None
            return False
        return self._ended and self._beyond_ascii


class Uncommented:
    """Drops lines that begin with a mark, wherever the pieces of the text are cut; never inside a quoted field."""

    def __init__(self, quote: bytes, mark: bytes) -> None:
        self._quote, self._mark = quote, mark
        self._held = b""  # the beginning of a line that may become the mark
        self._inside: bool | None = None  # the line that goes on is a comment, or none; None: a line begins
        self._open = False  # a quoted field goes on

    def keep(self, piece: bytes, *, last: bool) -> bytes:
        """What is left of the next piece of text."""
        kept: list[bytes] = []
        lines = (self._held + piece).split(b"\n")
        self._held = b""
        for number, line in enumerate(lines):
            ended = number < len(lines) - 1
            if self._inside is None and not ended and not last and len(line) < len(self._mark):
                self._held = line
                break
            kept.append(self._line(line, ended=ended))
        return b"".join(kept)

    def _line(self, line: bytes, *, ended: bool) -> bytes:
        if self._inside is None:
            self._inside = not self._open and line.startswith(self._mark)
        comment = self._inside
        if not comment and self._quote and line.count(self._quote) % 2:
            self._open = not self._open
        if ended:
            self._inside = None
        if comment:
            return b""
        return line + b"\n" if ended else line
