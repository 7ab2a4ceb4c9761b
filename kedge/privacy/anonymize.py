"""The asset `anonymized`: a validated night, released into the open zone if its measured privacy allows it."""

from typing import TYPE_CHECKING

import polars as pl

from kedge.lake import Draft, Outcome, Version, produce
from kedge.outcome import Check, Fact, Findings
from kedge.privacy.classes import Masked, mask, measure
from kedge.privacy.cost import costs
from kedge.privacy.plan import Plan
from kedge.privacy.redact import leftover, tags
from kedge.privacy.transform import transform
from kedge.privacy.verdict import checks
from kedge.spec import Declaration
from kedge.workspace import Workspace

if TYPE_CHECKING:
    from kedge.lake import Secrets

# Raised by hand whenever the same input would give other rows; a golden digest in the tests guards it.
CODE_VERSION = 1


def anonymize(ws: Workspace, declaration: Declaration, partition: str) -> Outcome:
    """Take a day's validated rows across the border.

    Returns:
        the outcome for dataset `anonymized`: checks `k_anonymity`, `mask_budget`, `drop_budget` and, where text is
        redacted, `redaction`, all blocking; facts as in `_facts`; notes `plan`, `plan_id`, `raw`, `subject`,
        `masked_cells`.

    Raises:
        Terminal: the day has no validated rows that are current.
    """
    remedy = "Run the day's raw and validated first; if it was blocked, its checks say why."
    validated = ws.dataset(declaration.name, "validated").require(partition, remedy)
    crossing = _Crossing(declaration, validated, ws.secrets(declaration.name))
    return produce(
        ws.dataset(declaration.name, "anonymized"),
        partition,
        inputs={"validated": validated.id},
        declared=declaration.part("anonymized"),
        code=CODE_VERSION,
        write=crossing.write,
    )


class _Crossing:
    """One day at the border."""

    def __init__(self, declaration: Declaration, validated: Version, secrets: "Secrets") -> None:
        self.declaration, self.validated, self.secrets = declaration, validated, secrets
        self.plan = Plan.of(declaration)

    def write(self, draft: Draft) -> Findings:
        plan, limits = self.plan, self.declaration.privacy
        shown = transform(self.validated.scan(), plan, self.secrets).collect(engine="streaming")
        masked = mask(shown, plan.quasi, plan.k, plan.subject)
        draft.write_frame(masked.frame)
        written = draft.read_frame()
        over = _over(masked, limits.mask_at_most, limits.drop_at_most)
        verdicts = checks(
            masked,
            measure(written, plan.quasi, plan.subject),
            plan,
            limits,
            costs(shown, plan.quasi, plan.k, plan.subject) if over else None,
        )
        redacted = [column.name for column in plan.released if column.treatment == "redact"]
        found = _redactions(written, redacted, plan)
        return Findings(
            checks=(*verdicts, *_redaction(written, redacted)),
            facts=_facts(masked) | {f"redacted_{kind}": count for kind, count in found.items()},
            notes={
                "plan": plan.to_json(),
                "plan_id": plan.id,
                "raw": self.validated.manifest.notes["raw"],
                "subject": plan.subject,
                "masked_cells": dict(masked.masked_cells),
            },
        )


def _over(masked: Masked, mask_at_most: float, drop_at_most: float) -> bool:
    return masked.masked_rows > mask_at_most * masked.rows or masked.dropped_rows > drop_at_most * masked.rows


def _facts(masked: Masked) -> dict[str, Fact]:
    """Counts and shares; shares are of the validated rows."""
    rows = max(1, masked.rows)
    return {
        "rows_in": masked.rows,
        "rows": masked.frame.height,
        "people": masked.people,
        "k_measured": masked.k_measured,
        "classes": masked.classes,
        "masked_rows": masked.masked_rows,
        "masked_share": masked.masked_rows / rows,
        "dropped_rows": masked.dropped_rows,
        "dropped_share": masked.dropped_rows / rows,
    }


def _redactions(written: pl.LazyFrame, columns: list[str], plan: Plan) -> dict[str, int]:
    """How often each tag stands in the released texts."""
    if not columns:
        return {}
    counted = {
        kind: pl.sum_horizontal(pl.col(name).str.count_matches(tag, literal=True).sum() for name in columns)
        for kind, tag in tags(plan.columns).items()
    }
    return {kind: int(count or 0) for kind, count in written.select(**counted).collect().row(0, named=True).items()}


def _redaction(written: pl.LazyFrame, columns: list[str]) -> tuple[Check, ...]:
    """Whether no pattern finds anything any more in what was written."""
    if not columns:
        return ()
    texts = int(sum(written.select(leftover(name) for name in columns).collect().row(0)))
    said = f"Patterns of personal data occur in {texts} texts after redaction."
    return (Check(name="redaction", passed=texts == 0, facts={"texts": texts}, description=said),)
