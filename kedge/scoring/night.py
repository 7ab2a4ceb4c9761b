"""A night scored by a stored model, in memory."""

import numpy as np
import polars as pl

from kedge.errors import Terminal
from kedge.lake import ALL, ROW, Version
from kedge.scoring.everybody import Everybody
from kedge.scoring.scorer import load_model, plan_of
from kedge.spec import Declaration
from kedge.workspace import Workspace

SCORE, RELEASED = "score", "released"


def score_night(ws: Workspace, declaration: Declaration, partition: str, model: str) -> pl.DataFrame:
    """Scores of a night by any stored model, the champion or not; see `score_everybody`.

    Args:
        model: version id of the model.

    Raises:
        Terminal: the night has no validated and anonymized versions of one delivery, or there is no such model.
    """
    version = ws.dataset(declaration.name, "model").version(ALL, model)
    return score_everybody(ws, declaration, version, *sources(ws, declaration, partition))


def score_everybody(
    ws: Workspace, declaration: Declaration, model: Version, validated: Version, anonymized: Version
) -> pl.DataFrame:
    """`_row`, score and whether the row is released, of everybody, in the order of the delivery: 17 bytes a row.

    Rows go through the plan that the model was trained under.
    """
    network = load_model(ws, declaration, model)
    everybody = Everybody(validated, anonymized, plan_of(model), ws.secrets(declaration.name))
    kept = pl.Schema({ROW: pl.UInt64, SCORE: pl.Float64, RELEASED: pl.Boolean})
    parts = [
        pl.DataFrame({ROW: rows[ROW], SCORE: network.score(rows), RELEASED: np.full(len(rows), released)}, kept)
        for rows, released in everybody.batches(network.features)
    ]
    return pl.concat([kept.to_frame(), *parts]).sort(ROW)


def sources(ws: Workspace, declaration: Declaration, partition: str) -> tuple[Version, Version]:
    """The night's current validated and anonymized versions, made of one delivery.

    Raises:
        Terminal: there is no such pair.
    """
    validated, anonymized = (
        ws.dataset(declaration.name, name).current(partition) for name in ("validated", "anonymized")
    )
    if validated is not None and anonymized is not None and anonymized.manifest.inputs["validated"] == validated.id:
        return validated, anonymized
    raise Terminal(
        f"{declaration.name}/anonymized/{partition}",
        need="a version made of the night's current validated rows",
        got="none",
        remedy="Run the night's validated and anonymized first; if one was blocked, its checks say why.",
    )
