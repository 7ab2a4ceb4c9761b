"""Which nights of a window train, and why others do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from kedge.errors import Terminal
from kedge.lake import Version
from kedge.people import labels_of
from kedge.spec import Declaration
from kedge.workspace import Workspace

UNLABELLED = "no labels yet"
STALE = "its labels belong to another delivery of that night: run labels again"


@dataclass(frozen=True)
class Window:
    """Nights that train, oldest first, and why others of the same days do not.

    Attributes:
        nights: versions of dataset `anonymized`.
        skipped: night -> reason.
        labels: night -> version id of dataset `labels`; None where the outcome is delivered with the rows.
    """

    nights: Mapping[str, Version]
    skipped: Mapping[str, str]
    labels: Mapping[str, str] | None

    @classmethod
    def of(cls, ws: Workspace, declaration: Declaration, until: str | None) -> "Window":
        """The declared number of days up to the last anonymized night, or the last one that has labels.

        Args:
            until: no night after it.

        Raises:
            Terminal: there is no such night.
        """
        dataset = ws.dataset(declaration.name, "anonymized")
        start = str(declaration.partitions.start)
        stored = [night for night in dataset.partitions() if start <= night <= (until or night)]
        last = _last(ws, declaration, stored)
        if last is None:
            raise _no_night(declaration, until, labels=bool(stored))
        wanted = [str(date.fromisoformat(last) - timedelta(days=back)) for back in range(declaration.training.window)]
        wanted = sorted(night for night in wanted if night >= start)
        found = {night: dataset.current(night) for night in wanted if night in stored}
        nights = {night: version for night, version in found.items() if version is not None}
        skipped = {night: "no anonymized version" for night in wanted if night not in nights}
        labels = None
        if declaration.late:
            fitting = {night: labels_of(ws, declaration, version) for night, version in nights.items()}
            labels = {night: version.id for night, version in fitting.items() if version is not None}
            late = [night for night in stored if night > last or (night in nights and night not in labels)]
            skipped |= {night: _unlabelled(ws, declaration, night) for night in late}
            nights = {night: version for night, version in nights.items() if night in labels}
        plan_id = nights[max(nights)].manifest.notes["plan_id"]
        other = {night for night, version in nights.items() if version.manifest.notes["plan_id"] != plan_id}
        skipped |= dict.fromkeys(sorted(other), "anonymized under another plan than the last night")
        chosen = {night: version for night, version in nights.items() if night not in other}
        named = None if labels is None else {night: labels[night] for night in chosen}
        return cls(chosen, dict(sorted(skipped.items())), named)

    @property
    def last(self) -> Version:
        return self.nights[max(self.nights)]

    @property
    def inputs(self) -> dict[str, str]:
        """What a training set is made of, by role."""
        labels = {f"labels/{night}": version for night, version in (self.labels or {}).items()}
        return {night: version.id for night, version in self.nights.items()} | labels


def _last(ws: Workspace, declaration: Declaration, stored: Sequence[str]) -> str | None:
    """The last night that can train: where outcomes arrive later, a window that ended with today would lack most."""
    dataset = ws.dataset(declaration.name, "anonymized")
    for night in reversed(stored):
        version = dataset.current(night)
        if version is not None and (not declaration.late or labels_of(ws, declaration, version)):
            return night
    return None


def _unlabelled(ws: Workspace, declaration: Declaration, night: str) -> str:
    return STALE if ws.dataset(declaration.name, "labels").current(night) else UNLABELLED


def _no_night(declaration: Declaration, until: str | None, *, labels: bool) -> Terminal:
    upto = f" up to {until}" if until else ""
    waiting = f"Wait for labels: kedge run {declaration.name} --partition NIGHT --job labels."
    return Terminal(
        f"{declaration.name}/training_set",
        need=f"at least one anonymized night{upto}" + (" that has labels" if labels else ""),
        got="none",
        remedy=waiting if labels else "Run the nights first; if they were blocked, their checks say why.",
    )
