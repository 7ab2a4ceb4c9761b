"""The official test file on its way through contract and border, like a night that is never trained on."""

from kedge.errors import Terminal
from kedge.evaluation.official import Official
from kedge.lake import ALL, Outcome
from kedge.privacy.anonymize import anonymize
from kedge.quality.validate import validate
from kedge.scoring.scorer import scorer
from kedge.source.official import take_official
from kedge.spec import Declaration
from kedge.workspace import Workspace


def official(ws: Workspace, declaration: Declaration) -> Official | None:
    """The rows of `evaluation.test` as released, stored in datasets of their own; None if there is no such setting.

    Raises:
        Terminal: the file is not there, breaks the contract or cannot be released.
    """
    if declaration.evaluation.test is None:
        return None
    apart = ws.official
    take_official(apart, declaration)
    _passed(validate(apart, declaration, ALL).validated, "the contract")
    released = anonymize(apart, declaration, ALL)
    _passed(released, "the border")
    return Official(released.version, scorer(apart, declaration))


def _passed(outcome: Outcome, what: str) -> None:
    if outcome.released:
        return
    remedy = "Correct the file or the declaration, or remove the setting."
    raise Terminal("evaluation.test", need=f"rows that {what} lets through", got=str(outcome.reason), remedy=remedy)
