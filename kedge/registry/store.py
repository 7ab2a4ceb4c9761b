"""The champion and the history of decisions: append-only files, one per decision, numbered without gaps.

Every file holds the decision *and* the champion that stands after it: moving the champion and recording why is one
step, one rename. There is never a moment with no champion or with two, and a reader needs the last file only. Writers
take turns under a lock that the kernel releases with its process, and compare before they swap.

Each file is sealed with the pipeline's digest secret and tied to its number. That the newest ones were taken away is
told by the audit trail.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from kedge import durable, faults
from kedge.audit.trail import Trail
from kedge.errors import Conflict, Tampered
from kedge.lake.seal import opened, sealed
from kedge.registry.decision import Champion, Decision, Reign
from kedge.spec.canonical import as_written
from kedge.workspace import Workspace

POINT = "registry.decide"
faults.register(POINT, steps=durable.REPLACE)

_SUFFIX = ".json"
_LOGGED = ("model", "evaluation", "number", "predecessor")
_PURPOSE = b"kedge.decision"


@dataclass(frozen=True)
class Registry:
    """The decisions of one pipeline.

    Attributes:
        path: folder of the numbered decision files.
        secret: gives the key of their seals; asked when there is a file to read or to write.
        trail: where a decision is announced before its file is there; None announces nowhere, as a test may.
    """

    path: Path
    secret: Callable[[], bytes] = field(repr=False)
    trail: Trail | None = None

    @classmethod
    def open(cls, ws: Workspace, pipeline: str) -> "Registry":
        """Open the registry of a pipeline; its folder is made with the first decision."""
        return cls(ws.registry_path(pipeline), lambda: ws.secrets(pipeline).digest, ws.trail)

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

    def recorded(self, number: int) -> str | None:
        """Digest of that decision's file as the audit trail names it; None when there is no such file."""
        with suppress(FileNotFoundError):
            return sha256(self._file(number).read_bytes()).hexdigest()
        return None

    def decide(self, decision: Decision, expected: Champion | None, *, config: str | None = None) -> Decision:
        """Record a decision; a promotion makes its model the champion in the same step.

        Args:
            decision: what was decided; `number` and `predecessor` are filled in.
            expected: the champion that the decision was made against.
            config: digest of the declaration that it was made under.

        Returns:
            The recorded decision.

        Raises:
            Conflict: another decision came first; it is named.
        """
        with durable.storage(str(self.path)):
            durable.make_folder(self.path)
            with durable.lock(self.path / ".lock"):
                durable.sweep(self.path)
                return self._record(decision, expected, config)

    def _record(self, decision: Decision, expected: Champion | None, config: str | None) -> Decision:
        number, champion = self._last()
        if champion != expected:
            raise self._conflict(number)
        recorded = replace(decision, number=number + 1, predecessor=champion.model if champion else None)
        self._append(recorded, recorded.champion() if recorded.promoted else champion, config)
        return recorded

    def _append(self, decision: Decision, champion: Champion | None, config: str | None) -> None:
        body = {"decision": decision.to_json(), "champion": asdict(champion) if champion else None}
        body = sealed(body, self.secret(), _PURPOSE, str(decision.number))
        data = json.dumps(body, indent=1, sort_keys=True).encode()
        facts = {name: getattr(decision, name) for name in _LOGGED} | {"record": sha256(data).hexdigest()}
        announced = self.trail and self.trail.change(self.path.name, decision.action, config=config, **facts)
        with announced or nullcontext({}) as outcome:
            try:
                durable.replace(self._file(decision.number), data, point=POINT)
            finally:  # its last step may fail after the file is there
                outcome["result"] = "done" if self.recorded(decision.number) == facts["record"] else "failed"

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
            body = opened(as_written(self._file(number).read_bytes()), self.secret(), _PURPOSE, str(number))
        except (ValueError, AttributeError):
            raise self._tampered(number, "bytes that are no JSON object") from None
        if body is None:
            raise self._tampered(number, "one that was edited, or the decision of another number or pipeline")
        return body

    def _tampered(self, number: int, got: str) -> Tampered:
        return Tampered(
            str(self._file(number)),
            need="the decision as it was written",
            got=got,
            remedy="Restore the file from a backup: decision files are written once and never changed.",
            part="decision",
        )

    def _conflict(self, number: int) -> Conflict:
        winner = Decision.from_json(self._read(number)["decision"]) if number else None
        what = f"decision {winner.number}: {winner.action} {winner.model}" if winner else "no champion at all"
        return Conflict(
            str(self.path),
            need="the champion that the challenger was compared with still to be in production",
            got=what,
            remedy="Run the evaluation again: it compares with the champion of now.",
        )
