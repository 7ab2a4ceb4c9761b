"""Whether a delivery is in the lake already, so that a sensor that starts anew does not run every old night again."""

from typing import TYPE_CHECKING

from kedge.source.calendar import delivery_path
from kedge.source.file import fingerprint
from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.workspace import Workspace


def current(ws: "Workspace", declaration: Declaration, partition: str) -> str | None:
    """Id of the current raw version of `partition`."""
    version = ws.dataset(declaration.name, "raw").current(partition)
    return None if version is None else version.id


def stored(ws: "Workspace", declaration: Declaration, partition: str) -> bool:
    """Whether the current raw version of `partition` was made from the very bytes that lie in the inbox now."""
    version = ws.dataset(declaration.name, "raw").current(partition)
    if version is None:
        return False
    path = delivery_path(declaration, ws.settings, partition)
    return version.manifest.inputs["delivery"] == fingerprint(path, ws.secrets(declaration.name).digest).keyed
