"""The champion and the history of decisions: append-only files, one per decision, numbered without gaps.

Every file holds the decision *and* the champion that stands after it: moving the champion and recording why is one
step, one rename. There is never a moment with no champion or with two, and a reader needs the last file only. Writers
take turns under a lock that the kernel releases with its process, and compare before they swap.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.errors import Conflict, Tampered
from kedge.registry.decision import Champion, Decision, Reign

POINT = "registry.decide"
faults.register(POINT, steps=durable.REPLACE)

_SUFFIX = ".json"


@dataclass(frozen=True)
class Registry:
    """The decisions of one pipeline.

    Attributes:
        path: folder of the numbered decision files.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> "Registry":
        """Open the registry in `path`; the folder is made with the first decision."""
        return cls(path)

    def champion(self) -> Champion | None:
        """The model in production; None before the first promotion."""
        return self._last()[1]

    def history(self) -> list[Decision]:
        """Every decision, oldest first."""
        return [Decision.from_json(self._read(number)["decision"]) for number in self._numbers()]

    def decided(self, evaluation: str) -> Decision | None:
        """The decision that rests on this evaluation, if it was taken."""
        return next((d for d in reversed(self.history()) if d.evaluation == evaluation), None)

    def reigns(self) -> list[Reign]:
        """What was in production from when to when, oldest first."""
        promoted = [d for d in self.history() if d.promoted]
        ends: list[str | None] = [*(d.at for d in promoted[1:]), None]
        return [
            Reign(model=d.model, since=d.at, until=ends[place], reason=d.reason) for place, d in enumerate(promoted)
        ]

    def decide(self, decision: Decision, expected: Champion | None) -> Decision:
        """Record a decision; a promotion makes its model the champion in the same step.

        Args:
            decision: what was decided; `number` and `predecessor` are filled in.
            expected: the champion that the decision was made against.

        Returns:
            The recorded decision.

        Raises:
            Conflict: another decision came first; it is named.
        """
        with durable.storage(str(self.path)):
            durable.make_folder(self.path)
            with durable.lock(self.path / ".lock"):
                durable.sweep(self.path)
                return self._record(decision, expected)

    def _record(self, decision: Decision, expected: Champion | None) -> Decision:
        number, champion = self._last()
        if champion != expected:
            raise self._conflict(number)
        recorded = replace(decision, number=number + 1, predecessor=champion.model if champion else None)
        self._append(recorded, recorded.champion() if recorded.promoted else champion)
        return recorded

    def _append(self, decision: Decision, champion: Champion | None) -> None:
        body = {"decision": decision.to_json(), "champion": asdict(champion) if champion else None}
        data = json.dumps(body, indent=1, sort_keys=True).encode()
        durable.replace(self._file(decision.number), data, point=POINT)

    def _last(self) -> tuple[int, Champion | None]:
        numbers = self._numbers()
        if not numbers:
            return 0, None
        champion = self._read(numbers[-1])["champion"]
        return numbers[-1], Champion.from_json(champion) if champion else None

    def _numbers(self) -> list[int]:
        found = sorted(self._listed())
        if found != list(range(1, len(found) + 1)):
            raise Tampered(
                str(self.path),
                need="decision files numbered from 1 without a gap",
                got=f"{len(found)} files, the last numbered {found[-1]}",
                remedy="Restore the missing files from a backup: the history of decisions is evidence.",
                part="decision",
            )
        return found

    def _listed(self) -> Iterator[int]:
        with suppress(FileNotFoundError):
            for file in self.path.iterdir():
                if file.suffix == _SUFFIX and file.stem.isdigit():
                    yield int(file.stem)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:06d}{_SUFFIX}"

    def _read(self, number: int) -> dict[str, Any]:
        try:
            return dict(json.loads(self._file(number).read_bytes()))
        except ValueError:
            raise Tampered(
                str(self._file(number)),
                need="a decision as JSON",
                got="bytes that are not JSON",
                remedy="Restore the file from a backup: decision files are written once and never changed.",
                part="decision",
            ) from None

    def _conflict(self, number: int) -> Conflict:
        winner = Decision.from_json(self._read(number)["decision"]) if number else None
        what = f"decision {winner.number}: {winner.action} {winner.model}" if winner else "no champion at all"
        return Conflict(
            str(self.path),
            need="the champion that the challenger was compared with still to be in production",
            got=what,
            remedy="Run the evaluation again: it compares with the champion of now.",
        )
