"""What a verification finds wrong, and what it looked at."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kedge.errors import KedgeError, Part
from kedge.exitcode import exit_code

ORDER: tuple[Part, ...] = (
    "lake", "ring", "key", "secrets", "log", "checkpoint", "anchor", "decision", "pointer", "manifest", "keys", "model",
    "data",
)  # fmt: skip
"""What explains other findings comes first: under a wrong key nothing opens, and an old log disagrees with all."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        part: of what is stored; None for an error that is about something else, such as a disk that does not answer.
        code: the exit code that stands for it.
        setting, need, got, remedy: as in `kedge.errors.KedgeError`.
    """

    part: Part | None
    code: int
    setting: str
    need: str
    got: str
    remedy: str

    @classmethod
    def of(cls, error: KedgeError) -> "Finding":
        return cls(error.part, exit_code(error), error.setting, error.need, error.got, error.remedy)

    @property
    def rank(self) -> tuple[int, str]:
        """Where it stands among others."""
        return (len(ORDER) if self.part is None else ORDER.index(self.part)), self.setting


@dataclass(frozen=True)
class Findings:
    """What a verification of one pipeline found.

    Attributes:
        found: what is wrong, in the order in which to look at it; empty if all is well.
        versions, files, size: stored versions, and encrypted files with their bytes, that were compared.
        pointers, decisions: how many were compared.
        entries: of the audit trail; None when there is no sound one, and nothing was compared with it.
        anchored: entries that a checkpoint in the second place covers; 0 without one.
        given_up: zones of which a key was destroyed with its data, which nobody can read any more.
    """

    pipeline: str
    found: tuple[Finding, ...]
    versions: int = 0
    files: int = 0
    size: int = 0
    pointers: int = 0
    decisions: int = 0
    entries: int | None = None
    anchored: int = 0
    given_up: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """Exit code: that of the first finding, 0 if all is well."""
        return self.found[0].code if self.found else 0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "code": self.code}


def ordered(errors: Sequence[KedgeError]) -> tuple[Finding, ...]:
    """Each finding once, in order; those of one file that differ in what was needed only are one, with their count."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for finding in dict.fromkeys(map(Finding.of, errors)):
        groups.setdefault((finding.part, finding.setting, finding.got), []).append(finding)
    return tuple(sorted(map(_together, groups.values()), key=lambda finding: finding.rank))


def _together(findings: Sequence[Finding]) -> Finding:
    first, *others = findings
    return replace(first, need=f"{first.need}, and {len(others)} more of the kind") if others else first
