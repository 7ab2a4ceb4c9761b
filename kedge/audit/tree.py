"""The Merkle tree of RFC 6962, section 2.1, over a file of stored hashes.

Each leaf that is appended stores its hash and then that of every subtree it completes, 32 bytes each, in this order
(as in Go's `golang.org/x/mod/sumdb/tlog`). So a tree only ever grows at its end, and a root or a proof reads as many
hashes as the logarithm of the size. The file can be made from the leaves at any time.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from kedge import faults

faults.register("audit.tree", steps=("before", "after"))

HASH_BYTES = 32
EMPTY = sha256().digest()
"""Root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def stored_count(size: int) -> int:
    """Number of hashes stored for a tree of so many leaves."""
    return 2 * size - size.bit_count()


def stored_index(level: int, number: int) -> int:
    """Place of the complete subtree `number` of 2^level leaves among the stored hashes."""
    last = ((number + 1) << level) - 1
    return stored_count(last) + level


def subtrees(size: int) -> list[tuple[int, int]]:
    """The complete subtrees (level, number) that a tree consists of, from the left."""
    found, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def root_of(peaks: Sequence[bytes]) -> bytes:
    """Root of the tree whose complete subtrees have these hashes, from the left."""
    if not peaks:
        return EMPTY
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


class Tree:
    """Stored hashes in a file; the newest wait in memory until `flush`. Not safe for several threads.

    Attributes:
        size: number of leaves.
        peaks: hashes of the complete subtrees, from the left.
    """

    def __init__(self, path: Path, *, size: int | None = None) -> None:
        """Open the tree at `path`, made when missing, as it was at `size` leaves (all that are stored by default).

        Raises:
            ValueError: the file holds fewer.
        """
        faults.reach("audit.tree.before")
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stored = os.fstat(self._handle).st_size // HASH_BYTES
        self.size = _leaves(stored) if size is None else size
        if stored_count(self.size) > stored:
            os.close(self._handle)
            raise ValueError(f"tree: needs {self.size} leaves; got hashes of fewer")
        self._flushed = stored_count(self.size)
        self._waiting: list[bytes] = []
        self.peaks = list(self.peaks_of(self.size))

    def append(self, leaves: Iterable[bytes]) -> None:
        """Add leaves by their hashes."""
        peaks, waiting, size = self.peaks, self._waiting, self.size
        for leaf in leaves:
            waiting.append(leaf)
            completed = size
            while completed & 1:
                leaf = node_hash(peaks.pop(), leaf)
                waiting.append(leaf)
                completed >>= 1
            peaks.append(leaf)
            size += 1
        self.size = size

    def flush(self) -> None:
        """Hand the newest hashes to the operating system; never fsynced, for the log gives them again."""
        if not self._waiting:
            return
        faults.reach("audit.tree.before")
        data, place = memoryview(b"".join(self._waiting)), self._flushed * HASH_BYTES
        while data:
            written = os.pwrite(self._handle, data, place)
            data, place = data[written:], place + written
        self._flushed += len(self._waiting)
        self._waiting.clear()
        faults.reach("audit.tree.after")

    def trim(self) -> None:
        """Flush, and cut off what the file holds beyond this tree."""
        self.flush()
        faults.reach("audit.tree.before")
        os.ftruncate(self._handle, self._flushed * HASH_BYTES)

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves (of all by default)."""
        if size is None or size == self.size:
            return root_of(self.peaks)
        return root_of(self.peaks_of(size))

    def peaks_of(self, size: int) -> tuple[bytes, ...]:
        """Hashes of the complete subtrees of the first `size` leaves, from the left."""
        return tuple(self.read(level, number) for level, number in subtrees(size))

    def inclusion(self, number: int, size: int) -> list[bytes]:
        """Audit path of leaf `number` in the tree of the first `size` leaves (RFC 6962, section 2.1.1), leaf first."""
        if not 0 <= number < size <= self.size:
            raise ValueError(f"inclusion: needs a leaf of at most {self.size}; got {number} of {size}")
        return _path(number, 0, size, self._range)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Proof that the first `old` leaves begin the first `new` (section 2.1.2); empty for 0 and for equals."""
        if not 0 <= old <= new <= self.size:
            raise ValueError(f"consistency: needs sizes up to {self.size}; got {old} and {new}")
        return _subproof(old, 0, new, True, self._range) if old else []

    def read(self, level: int, number: int) -> bytes:
        """Hash of the complete subtree `number` of 2^level leaves."""
        place = stored_index(level, number)
        if place >= self._flushed:
            return self._waiting[place - self._flushed]
        return os.pread(self._handle, HASH_BYTES, place * HASH_BYTES)

    def close(self) -> None:
        """Let go of the file; what was not flushed is lost."""
        os.close(self._handle)

    def _range(self, start: int, stop: int) -> bytes:
        """Root of the leaves from `start` to `stop`, as they stand in a tree."""
        hashes = [self.read(level, (start >> level) + number) for level, number in subtrees(stop - start)]
        return root_of(hashes)


def _path(number: int, start: int, stop: int, root: Callable[[int, int], bytes]) -> list[bytes]:
    if stop - start == 1:
        return []
    middle = start + _split(stop - start)
    if number < middle:
        return [*_path(number, start, middle, root), root(middle, stop)]
    return [*_path(number, middle, stop, root), root(start, middle)]


def _subproof(old: int, start: int, stop: int, whole: bool, root: Callable[[int, int], bytes]) -> list[bytes]:
    if old == stop:
        return [] if whole else [root(start, stop)]
    middle = start + _split(stop - start)
    if old <= middle:
        return [*_subproof(old, start, middle, whole, root), root(middle, stop)]
    return [*_subproof(old, middle, stop, False, root), root(start, middle)]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _leaves(stored: int) -> int:
    """Size of the largest tree that so many stored hashes give."""
    size = stored // 2
    while stored_count(size + 1) <= stored:
        size += 1
    return size


def verify_inclusion(number: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows this leaf hash as `number` in the tree of this size and root (RFC 9162, 2.1.3.2)."""
    if not 0 <= number < size:
        return False
    node, last, found = number, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree (old, old_root) is a beginning of (new, new_root) (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == 0 or old == new:
        return not proof and old_root == (new_root if old else EMPTY)
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root
