"""What a stage's run ended in, always told from the manifest: a rerun tells the same as the first run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kedge.lake.version import Version
from kedge.outcome import Check, Fact


@dataclass(frozen=True)
class Outcome:
    """A stored version and whether this run changed anything.

    Attributes:
        version: current if `released`, otherwise kept unpointed with its verdict.
        written: False if it was found current and whole, so that nothing was written and no pointer moved.
    """

    version: Version
    written: bool

    @property
    def released(self) -> bool:
        """Whether every blocking check passed; otherwise nothing downstream may use it."""
        return self.version.manifest.released

    @property
    def reason(self) -> str | None:
        """Why it was not released."""
        return self.version.manifest.reason

    @property
    def checks(self) -> tuple[Check, ...]:
        return self.version.manifest.checks

    @property
    def facts(self) -> Mapping[str, Fact]:
        return self.version.manifest.facts

    @property
    def rows(self) -> int:
        return self.version.manifest.rows

    @property
    def notes(self) -> Mapping[str, Any]:
        return self.version.manifest.notes
