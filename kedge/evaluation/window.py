"""Which stored nights a comparison stands on."""

from kedge.lake import ALL, Version
from kedge.workspace import Workspace


def training_set(ws: Workspace, model: Version) -> Version:
    """The training set that a model was trained on."""
    dataset = ws.dataset(model.dataset.pipeline, "training_set")
    return dataset.version(ALL, model.manifest.notes["training_set"])


def trusted_nights(ws: Workspace, challenger: Version, champion: Version | None) -> dict[str, str]:
    """Night -> anonymized version of the champion's window, as far as it is stored under the challenger's plan.

    For the first champion, and when a change of the plan left none of them, the challenger's own window.
    """
    own = training_set(ws, challenger).manifest.notes
    theirs = training_set(ws, champion).manifest.notes["nights"] if champion else {}
    dataset = ws.dataset(challenger.dataset.pipeline, "anonymized")
    found: dict[str, str] = {}
    for night, version in theirs.items():
        candidates = (dataset.version(night, version), dataset.current(night))
        fits = [v.id for v in candidates if v is not None and v.manifest.notes["plan_id"] == own["plan_id"]]
        found[night] = own["nights"].get(night) or next(iter(fits), "")
    return {night: version for night, version in found.items() if version} or dict(own["nights"])
