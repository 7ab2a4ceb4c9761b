"""Who is compared with whom: the stored models that an evaluation needs."""

from typing import TYPE_CHECKING

from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.lake import Version
    from kedge.workspace import Workspace


def challenger(workspace: "Workspace", declaration: Declaration) -> "Version":
    """The model trained last.

    Raises:
        Terminal: none was trained.
    """
    from kedge.lake import ALL

    remedy = f"Train one: kedge run {declaration.name} --job retrain."
    return workspace.dataset(declaration.name, "model").require(ALL, remedy)


def champion(workspace: "Workspace", declaration: Declaration) -> "Version | None":
    """The model in production, None before the first."""
    from kedge.lake import ALL
    from kedge.registry.store import Registry

    reigning = Registry.open(workspace, declaration.name).champion()
    return None if reigning is None else workspace.dataset(declaration.name, "model").version(ALL, reigning.model)
