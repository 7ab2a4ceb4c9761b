"""The champion's reference: a definition over nights of its training set, drawn again each time.

No copy of people is stored for it: the training set's manifest names the nights and their exact versions, the model's
version id is the seed, so the same rows are drawn until somebody is erased or retention ends a night.

The sample holds rows that the champion was trained on. Its scores of those may be over-confident, and compared with
fresh rows they would look drifted on a quiet night; so predictions are compared on held-out rows alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedge.drift.sample import Sample, draw
from kedge.lake import ALL, Version
from kedge.spec import Declaration
from kedge.workspace import Workspace

FEWEST_ROWS = 3_000
"""An episode shorter than this is extended back into the window before it."""


@dataclass(frozen=True)
class Reference:
    """What a champion's nights are compared with.

    Attributes:
        champion: version of dataset `model`.
        nights: the nights compared with, oldest first, and their versions of dataset `anonymized`.
        window: all nights the champion was trained on.
        plan_id: the anonymization plan of all of them.
        sample: rows of those nights.
    """

    champion: Version
    nights: Mapping[str, str]
    window: frozenset[str]
    plan_id: str
    sample: Sample


def reference(ws: Workspace, declaration: Declaration, champion: Version) -> Reference:
    """The reference of a champion: the nights of its drift episode if it was trained because of drift (a whole window
    would mostly show the world before), else its whole window.

    Raises:
        Terminal: a night of the training set is no longer stored.
    """
    notes = _training_set(ws, declaration, champion).manifest.notes
    dataset = ws.dataset(declaration.name, "anonymized")
    window = {night: dataset.version(night, version) for night, version in sorted(notes["nights"].items())}
    rows = {night: version.manifest.rows for night, version in window.items()}
    chosen = [window[night] for night in reference_nights(rows, notes["episode"])]
    return Reference(
        champion=champion,
        nights={version.partition: version.id for version in chosen},
        window=frozenset(window),
        plan_id=notes["plan_id"],
        sample=draw(chosen, declaration, seed=seed_of(champion), labels=_labels(ws, declaration, notes)),
    )


def _labels(ws: Workspace, declaration: Declaration, notes: Mapping[str, Any]) -> dict[str, Version]:
    """The outcomes that the champion learned from, where they arrived later."""
    dataset = ws.dataset(declaration.name, "labels")
    return {night: dataset.version(night, version) for night, version in notes.get("labels", {}).items()}


def reference_nights(rows: Mapping[str, int], episode: Sequence[str]) -> list[str]:
    """Nights of the reference, oldest first.

    Args:
        rows: rows of each night of the window.
        episode: nights of the drift episode behind the training; empty without one.
    """
    known = sorted(rows)
    chosen = [night for night in known if night in set(episode)]
    if not chosen:
        return known
    earlier = [night for night in known if night < chosen[0]]
    while earlier and sum(rows[night] for night in chosen) < FEWEST_ROWS:
        chosen.insert(0, earlier.pop())
    return chosen


def seed_of(*versions: Version) -> int:
    """A seed that these versions fix: ids are digests."""
    return int.from_bytes(bytes.fromhex("".join(version.id[1:17] for version in versions)))


def _training_set(ws: Workspace, declaration: Declaration, champion: Version) -> Version:
    return ws.dataset(declaration.name, "training_set").version(ALL, champion.manifest.notes["training_set"])
