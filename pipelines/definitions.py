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
from resources.profile import executor
from resources.store import Store
from sensors import reaper

silence()


def build(settings: Settings) -> dg.Definitions:
    """Definitions of all declarations below `settings.pipelines`.

    Raises:
        kedge.spec.SpecError: every mistake in every declaration, each with file and line.
    """
    names = sorted(load_all(settings.pipelines))
    # Dagster's own component loader uses classes that it calls beta: not for this location's user to act on.
    warnings.filterwarnings("ignore", category=dg.BetaWarning, module="dagster")
    # Checks carry the partitions of their asset, which Dagster calls a preview.
    warnings.filterwarnings("ignore", category=dg.PreviewWarning)
    declared = [_declared(settings.pipelines / name) for name in names]
    # Put together by hand, since Dagster refuses to merge definitions of several component trees.
    return dg.Definitions(
        assets=[asset for one in declared for asset in one.assets or ()],
        jobs=[job for one in declared for job in one.jobs or ()],
        sensors=[reaper.sensor(names), *(sensor for one in declared for sensor in one.sensors or ())],
        schedules=[schedule for one in declared for schedule in one.schedules or ()],
        resources={"store": Store()},
        executor=executor(settings.profile),
    )


def _declared(folder: Path) -> dg.Definitions:
    """Definitions of one declared pipeline, wherever `KEDGE_PIPELINES` points.

    A tree per folder: one tree over all of them would import the Python files beside them, this one included.
    """
    module = ModuleType(f"declared_{folder.name}")
    module.__file__, module.__path__ = str(folder / "__init__.py"), [str(folder)]
    sys.modules[module.__name__] = module
    return ComponentTree.from_module(module, project_root=folder.parent).build_defs_at_path(folder)


defs = build(Settings.from_environment())
