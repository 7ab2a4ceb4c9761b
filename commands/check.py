"""`kedge check`: the declarations, without running anything."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from commands.access import warn
from kedge.audit.anchor import refuse_inside
from kedge.settings import Settings
from kedge.spec import Declaration, load, load_all


def check(settings: Settings, pipeline: str | None, console: Console) -> int:
    """Print what each declaration makes of its columns; mistakes are raised as `SpecError` with every one of them.

    Raises:
        Terminal: the anchor of an audit trail lies inside `KEDGE_HOME`.
    """
    found = load_all(settings.pipelines) if pipeline is None else {pipeline: load(_path(settings, pipeline))}
    for declaration in found.values():
        console.print(_table(declaration))
        if (url := declaration.audit.anchor) is not None:
            refuse_inside(url, settings.home)
            warn(settings, declaration, console)
    console.print(f"{len(found)} declaration(s) below {settings.pipelines}: no mistakes")
    return 0


def _path(settings: Settings, pipeline: str) -> Path:
    return settings.pipelines / pipeline / "defs.yaml"


def _table(declaration: Declaration) -> Table:
    table = Table("column", "type", "role", "privacy", "quasi", "feature", title=declaration.name)
    for name, column in declaration.columns.items():
        as_it_is = "not released" if name in declaration.late else "as it is"
        treatment = as_it_is if column.privacy is None else column.privacy.kind
        table.add_row(
            name,
            column.type,
            column.role or "",
            treatment,
            "yes" if column.quasi else "",
            declaration.feature_kind(name) if name in declaration.features else "",
        )
    return table
