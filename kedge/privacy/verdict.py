"""Whether a masked day may be released, and what to change in the declaration if not."""

from kedge.outcome import Check
from kedge.privacy.classes import Classes, Masked
from kedge.privacy.cost import Costs
from kedge.privacy.plan import Plan
from kedge.spec import Privacy


def checks(masked: Masked, released: Classes, plan: Plan, limits: Privacy, costs: Costs | None) -> tuple[Check, ...]:
    """The three blocking checks of the border.

    Args:
        released: classes of the rows as they were written.
        costs: which quasi-identifier costs most; needed only where a budget is exceeded.
    """
    advice = f" {costs.advice}" if costs else ""
    return (
        _enough_people(masked, released, plan),
        _budget("mask_budget", "lose quasi-identifiers", masked.masked_rows, masked.rows, limits.mask_at_most, advice),
        _budget("drop_budget", "are dropped", masked.dropped_rows, masked.rows, limits.drop_at_most, advice),
    )


def _enough_people(masked: Masked, released: Classes, plan: Plan) -> Check:
    """k of what is released; a day with fewer people than k has nothing to release."""
    too_few = masked.rows > 0 and masked.people < plan.k
    said = f"The smallest class of equal quasi-identifiers holds {released.k} people; k is {plan.k}."
    if too_few:
        said = (
            f"The day has fewer people than k = {plan.k}: no grouping hides them. "
            "Deliver it together with another day, or lower privacy.k."
        )
    elif not released.rows:
        said = "The day has no rows."
    return Check(
        name="k_anonymity",
        passed=not too_few and (released.k >= plan.k or released.rows == 0),
        facts={"k_measured": released.k, "k": plan.k, "classes": released.classes, "people": masked.people},
        description=said,
    )


def _budget(name: str, what: str, rows: int, of: int, at_most: float, advice: str) -> Check:
    share = rows / of if of else 0.0
    passed = share <= at_most
    return Check(
        name=name,
        passed=passed,
        facts={"share": share, "at_most": at_most, "rows": rows},
        description=f"{share:.1%} of the rows {what} to reach k, allowed are {at_most:.1%}."
        + ("" if passed else advice),
    )
