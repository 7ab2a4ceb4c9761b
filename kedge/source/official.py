"""The official test file, taken in as it was received; it belongs to no night."""

from typing import TYPE_CHECKING

from kedge.errors import Terminal
from kedge.lake import ALL, Outcome
from kedge.outcome import Findings
from kedge.source.inbox import checked
from kedge.source.intake import Intake
from kedge.spec import Declaration

if TYPE_CHECKING:
    from kedge.workspace import Workspace


def take_official(ws: "Workspace", declaration: Declaration) -> Outcome:
    """Take `evaluation.test` in; the same bytes again write nothing, and once it is stored the file may go.

    Args:
        ws: the workspace as the test file sees it, see `Workspace.official`.

    Raises:
        Terminal: the file is neither there nor stored, or it is no file of the source's dialect.
    """
    file = str(declaration.evaluation.test)
    source = declaration.source.model_copy(update={"files": file, "replay": None, "date_column": None, "after": "keep"})
    intake = Intake(
        ws=ws, declaration=declaration, partition=ALL, source=source, declared=declaration.delivered, dataset="raw"
    )
    path = ws.settings.data / file
    if not path.exists():
        stored = intake.current
        if stored is not None and stored.manifest.facts["source"] == file:
            return Outcome(version=stored, written=False)
        remedy = "Put it there, set KEDGE_DATA to the folder where relative paths start, or remove the setting."
        raise Terminal("evaluation.test", need="a file", got="no such file", remedy=remedy)
    found = checked(path, intake.key)
    frame = intake.delivery(path, found.keyed).scan()
    return intake.store(frame, found.keyed, lambda: Findings(facts={"file_bytes": found.bytes}))
