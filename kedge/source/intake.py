"""Intake: one partition of a source on its way into a dataset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from kedge.lake import Draft, Outcome, Version, produce
from kedge.outcome import Findings
from kedge.source.read import Delivery
from kedge.spec import Declaration, Source

if TYPE_CHECKING:
    from kedge.workspace import Workspace

# Raised by hand whenever the same delivery would give other rows; a golden digest in the tests guards it.
CODE_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What is taken, and where to.

    Attributes:
        ws, declaration, partition: whose delivery.
        source: where its files are.
        declared: columns of a file, in order.
        dataset: where its rows go.
    """

    ws: "Workspace"
    declaration: Declaration
    partition: str
    source: Source
    declared: Sequence[str]
    dataset: str

    @property
    def key(self) -> bytes:
        """For digests of what was delivered: without it nobody can confirm a guess."""
        return self.ws.secrets(self.declaration.name).digest

    @property
    def current(self) -> Version | None:
        """The version that holds the partition now."""
        return self.ws.dataset(self.declaration.name, self.dataset).current(self.partition)

    def delivery(self, path: Path, keyed: str = "") -> Delivery:
        """A file of the source; with `keyed`, exactly the one that has this digest."""
        return Delivery(path=path, source=self.source, declared=self.declared, keyed=keyed, key=self.key)

    def store(self, frame: pl.LazyFrame, delivered: str, found: Callable[[], Findings]) -> Outcome:
        """Make the version of these rows current.

        Args:
            frame: the rows, as text, with `_row`.
            delivered: keyed digest of what was delivered; the same one means the same version.
            found: what is to be said about the rows, asked for once they are written.
        """
        before, inputs = self.current, {"delivery": delivered}

        def write(draft: Draft) -> Findings:
            draft.write_frame(frame)
            findings, known = found(), before is not None and before.manifest.inputs != inputs
            facts = {"source": self.source.files, "delivery": delivered, "replaces_delivery": known}
            return Findings(
                checks=findings.checks,
                facts=facts | dict(findings.facts),
                notes={"raw": draft.version} | dict(findings.notes),
            )

        return produce(
            self.ws.dataset(self.declaration.name, self.dataset),
            self.partition,
            inputs=inputs,
            declared=self.declaration.part(self.dataset),
            code=CODE_VERSION,
            write=write,
        )
