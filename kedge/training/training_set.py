"""The asset `training_set`: which versions of which nights train, who is held out, and why. No copy of rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from kedge.lake import ALL, Draft, Outcome, produce
from kedge.outcome import Findings
from kedge.people import HELDOUT, PART, TRAIN, VALIDATION, Commitment, commit, load_rows, rule_id
from kedge.spec import Declaration
from kedge.spec.canonical import canonical
from kedge.training.nights import Window
from kedge.workspace import Workspace

# Raised by hand whenever the same inputs would give another set; a golden digest in the tests guards it.
CODE_VERSION = 1

NIGHTS_FILE = "nights.json"


def assemble(
    ws: Workspace,
    declaration: Declaration,
    *,
    cause: str,
    trigger: str,
    until: str | None = None,
    episode: Sequence[str] = (),
) -> Outcome:
    """Name the nights and people of a training.

    Args:
        cause: why there is a training, see `kedge.retrain`; another cause is another training set.
        trigger: who asked, e.g. `sensor` or `person`; of equal causes the first one's is kept.
        until: last night of the window; by default the latest anonymized one.
        episode: the drifted nights behind the training; those without rows are left out.

    Returns:
        the outcome for dataset `training_set`, partition `all`; notes: `nights` {night: anonymized version},
        `skipped` {night: reason}, `first`, `last`, `episode`, `cause`, `trigger`, `plan_id`, `plan`,
        `holdout` {share, by, rule}, `subjects` {count, salt, root}; where outcomes arrive later, `labels` {night:
        version}, and only nights that have them train.

    Raises:
        Terminal: no night of the window is anonymized, or none has labels.
    """
    window = Window.of(ws, declaration, until)
    chosen = [night for night in sorted(set(episode)) if night in window.nights]
    return produce(
        ws.dataset(declaration.name, "training_set"),
        ALL,
        inputs=window.inputs,
        declared=declaration.part("training_set") | {"cause": cause, "episode": chosen},
        code=CODE_VERSION,
        write=lambda draft: _write(ws, declaration, window, draft, {"cause": cause, "episode": chosen}, trigger),
    )


def _write(
    ws: Workspace,
    declaration: Declaration,
    window: Window,
    draft: Draft,
    why: Mapping[str, Any],
    trigger: str,
) -> Findings:
    nights = {night: version.id for night, version in window.nights.items()}
    labels = {} if window.labels is None else {"labels": dict(window.labels)}
    draft.write_bytes(canonical({"nights": nights, **labels, **why}), NIGHTS_FILE)
    subject = declaration.subject
    columns = [*([subject] if subject else []), *([] if window.labels is None else [declaration.target])]
    rows = load_rows(ws, declaration, nights, columns=columns, labels=window.labels)
    if window.labels is not None:
        rows = rows.drop_nulls(declaration.target)
    people = _people(rows, subject, ws.secrets(declaration.name).index, draft.version)
    counts = dict(rows.group_by(PART).len().iter_rows())
    notes = {
        "nights": nights,
        "skipped": dict(window.skipped),
        "first": min(nights),
        "last": max(nights),
        **why,
        "trigger": trigger,
        "plan_id": window.last.manifest.notes["plan_id"],
        "plan": window.last.manifest.notes["plan"],
        "holdout": {
            "share": declaration.evaluation.holdout,
            "by": declaration.evaluation.by,
            "rule": rule_id(declaration),
        },
        "subjects": people.to_json(),
        **labels,
    }
    facts = {
        "nights": len(nights),
        "nights_skipped": len(window.skipped),
        "first": min(nights),
        "last": max(nights),
        "people": people.count,
        "rows": len(rows),
        "rows_train": counts.get(TRAIN, 0) + counts.get(VALIDATION, 0),
        "rows_heldout": counts.get(HELDOUT, 0),
        "cause": why["cause"],
        "trigger": trigger,
    }
    return Findings(facts=facts, notes=notes)


def _people(rows: pl.DataFrame, subject: str | None, secret: bytes, version: str) -> Commitment:
    """Everybody in the set, held out or not; without a subject nobody can be told apart."""
    tokens = rows[subject].drop_nulls().unique().to_list() if subject else []
    return commit(tokens, secret, version)
