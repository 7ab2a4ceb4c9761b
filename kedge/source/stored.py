"""Whether a delivery is in the lake already, so that a sensor that starts anew does not run every old night again."""

from typing import TYPE_CHECKING

from kedge.source import survey, template
from kedge.source.calendar import delivery_files
from kedge.source.delivery import delivered as digest_of
from kedge.source.file import fingerprint
from kedge.source.take import intake
from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.workspace import Workspace


def current(ws: "Workspace", declaration: Declaration, partition: str, dataset: str = "raw") -> str | None:
    """Id of the current raw version of `partition`."""
    version = ws.dataset(declaration.name, dataset).current(partition)
    return None if version is None else version.id


def due(ws: "Workspace", declaration: Declaration, partition: str, digest: str, dataset: str = "raw") -> bool:
    """Whether a night has to run: its delivery is there and not the one that is stored, or is not to stay there.

    Where `source.after` is not `keep`, a file that is sent again goes as the first one did: its night writes nothing
    and tidies up.

    Args:
        digest: keyed digest of the day's rows, where the rows say which day they belong to; else of no importance.
    """
    if declaration.source.date_column is None:
        may_stay = declaration.source.after == "keep"
        return _is_there(ws, declaration, partition) and not (may_stay and stored(ws, declaration, partition, dataset))
    version = ws.dataset(declaration.name, dataset).current(partition)
    return version is None or version.manifest.inputs["delivery"] != digest


def delivered(ws: "Workspace", declaration: Declaration, partition: str) -> bool:
    """Whether a partition's delivery has come, as far as it can be told without reading files."""
    if current(ws, declaration, partition) is not None:
        return True
    if declaration.source.date_column is None:
        return _is_there(ws, declaration, partition)
    found = survey.last(ws.settings, declaration.name)
    return found is not None and partition in found.days


def _is_there(ws: "Workspace", declaration: Declaration, partition: str) -> bool:
    return any(path.exists() for path in delivery_files(declaration, ws.settings, partition))


def stored(ws: "Workspace", declaration: Declaration, partition: str, dataset: str = "raw") -> bool:
    """Whether the current raw version of `partition` was made from the very bytes that lie in the inbox now.

    Not for a source with `date_column`: only a pass over the whole of its files tells, see `kedge.source.survey`.
    """
    version = ws.dataset(declaration.name, dataset).current(partition)
    if version is None:
        return False
    taken = intake(ws, declaration, partition, dataset)
    paths = delivery_files(declaration, ws.settings, partition)
    keyed = {path.name: fingerprint(path, taken.key).keyed for path in paths}
    if template.holds_several(declaration.source.files or ""):
        found = digest_of(taken, keyed)
    else:
        (found,) = keyed.values()
    return version.manifest.inputs["delivery"] == found
