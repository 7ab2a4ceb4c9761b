"""Where later stages of kedge stand beside every commit and every read: the journal and the people left out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

if TYPE_CHECKING:
    from kedge.lake.dataset import Dataset


class Journal(Protocol):
    """Told before a commit what will happen and after it what did, and of every read.

    A commit's entry has `action` (`commit`: a new version becomes current; `repoint`: a stored one becomes current
    again; `attempt`: a version that failed a blocking check is kept, unpointed), zone, pipeline, dataset, partition,
    version, declared, content_digest, released, blocked_by (names of the checks), predecessor, sequence (of the pointer
    before, 0 for none) and writer. `outcome` adds `result`: done, conflict or failed, and `error`, its class's name.
    """

    def intent(self, entry: Mapping[str, Any]) -> None:
        """Called before anything is visible; an error here stops the commit."""
        ...

    def outcome(self, entry: Mapping[str, Any]) -> None:
        """Called after the pointer has moved, or did not; the partition is still locked."""
        ...

    def read(self, entry: Mapping[str, Any]) -> None:
        """Called before anything of a stored version is given in plaintext; an error here stops the read.

        The entry has zone, pipeline, dataset, partition and version.
        """
        ...

    def denied(self, entry: Mapping[str, Any]) -> None:
        """Called when a key or a file did not open; in addition `file`, and `what`: the class of the error."""
        ...


class LeaveOut(Protocol):
    """People who must not be read any more, although their rows are still stored."""

    def filter(self, dataset: "Dataset", frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame without them; applied in every read of stored rows."""
        ...
