"""The one `Definitions` object: every declared pipeline, with the resources and policies they share."""

import sys
import warnings
from pathlib import Path
from types import ModuleType

import dagster as dg
from dagster.components.core.component_tree import ComponentTree

from kedge.offline import silence
from kedge.settings import Settings
from kedge.spec import load_all
from resources.store import Store

silence()


def build(settings: Settings) -> dg.Definitions:
    """Definitions of all declarations below `settings.pipelines`.

    Raises:
        kedge.spec.SpecError: every mistake in every declaration, each with file and line.
    """
    names = sorted(load_all(settings.pipelines))
    # Dagster's own component loader uses classes that it calls beta: not for this location's user to act on.
    warnings.filterwarnings("ignore", category=dg.BetaWarning, module="dagster")
    tree = ComponentTree.from_module(_declared(settings.pipelines), project_root=settings.pipelines.parent)
    shared = dg.Definitions(resources={"store": Store()}, executor=dg.in_process_executor)
    return dg.Definitions.merge(shared, *(tree.build_defs_at_path(Path(name)) for name in names))


def _declared(folder: Path) -> ModuleType:
    """A module whose submodules are the declared pipelines, wherever `KEDGE_PIPELINES` points."""
    module = ModuleType("declared_pipelines")
    module.__file__, module.__path__ = str(folder / "__init__.py"), [str(folder)]
    sys.modules[module.__name__] = module
    return module


defs = build(Settings.from_environment())
