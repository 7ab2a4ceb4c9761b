"""Which labels belong to which released rows."""

from collections.abc import Mapping

from kedge.lake import Version, raw_ancestor
from kedge.spec import Declaration
from kedge.workspace import Workspace


def labels_of(ws: Workspace, declaration: Declaration, night: Version, named: str | None = None) -> Version | None:
    """The labels of a night's rows; None while there are none, or only some of another delivery of that night.

    Args:
        night: a version that carries `_row`, of any zone.
        named: version of dataset `labels` to take if it fits; otherwise the current one.
    """
    if not declaration.late:
        return None
    dataset = ws.dataset(declaration.name, "labels")
    candidates = (dataset.version(night.partition, named) if named else None, dataset.current(night.partition))
    ours = raw_ancestor(night)
    return next((version for version in candidates if version is not None and raw_ancestor(version) == ours), None)


def labels_of_nights(
    ws: Workspace, declaration: Declaration, nights: Mapping[str, str], *named: Mapping[str, str]
) -> dict[str, str]:
    """Night -> version of dataset `labels`; nights without labels of these rows are left out.

    Args:
        nights: partition -> version id of dataset `anonymized`.
        named: partition -> version ids to take where they fit, the first ones first.
    """
    dataset, found = ws.dataset(declaration.name, "anonymized"), {}
    for night, version in nights.items():
        names = [*(one[night] for one in named if night in one), None]
        fits = (labels_of(ws, declaration, dataset.version(night, version), name) for name in names)
        if (labels := next(filter(None, fits), None)) is not None:
            found[night] = labels.id
    return found
