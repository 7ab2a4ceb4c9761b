"""Where later stages of kedge stand beside every commit and every read: the journal and the people left out."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

if TYPE_CHECKING:
    from kedge.lake.dataset import Dataset


class Journal(Protocol):
    """Told before a commit what will happen and after it what did.

    An entry has `action` (`commit`: a new version becomes current; `repoint`: a stored one becomes current again;
    `attempt`: a version that failed a blocking check is kept, unpointed), zone, pipeline, dataset, partition, version,
    predecessor, content_digest, released, reason and writer. `outcome` adds `result`: done, conflict or failed.
    """

    def intent(self, entry: Mapping[str, Any]) -> None:
        """Called before anything is visible; an error here stops the commit."""
        ...

    def outcome(self, entry: Mapping[str, Any]) -> None:
        """Called after the pointer has moved, or did not."""
        ...


class LeaveOut(Protocol):
    """People who must not be read any more, although their rows are still stored."""

    def filter(self, dataset: "Dataset", frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame without them; applied in every read of stored rows."""
        ...
