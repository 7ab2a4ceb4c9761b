import polars as pl
import pytest

from kedge.outcome import Check
from kedge.privacy.classes import Classes, Masked, mask, measure
from kedge.privacy.plan import Plan, PlannedColumn
from kedge.privacy.verdict import checks
from kedge.spec import Privacy

PLAN = Plan(columns=(PlannedColumn(name="zip", type="string", quasi=True),), k=5)
LIMITS = Privacy(k=5, mask_at_most=0.2, drop_at_most=0.1)


def masked(classes: list[int], k: int = 5) -> Masked:
    rows = [str(at) for at, size in enumerate(classes) for _ in range(size)]
    return mask(pl.DataFrame({"zip": rows}, schema={"zip": pl.String}), ("zip",), k, None)


def verdicts(found: Masked, released: Classes | None = None) -> dict[str, Check]:
    released = released or measure(found.frame, ("zip",), None)
    return {check.name: check for check in checks(found, released, PLAN, LIMITS, None)}


@pytest.mark.parametrize(
    ("classes", "failed"),
    [
        ([10, 10], []),
        ([16, 2, 2], ["drop_budget"]),  # 4 of 20 cannot be hidden
        ([32, 4, 4], []),  # 8 of 40 lose the zip: exactly the budget
        ([31, 3, 3, 3], ["mask_budget"]),  # 9 of 40
        ([4], ["k_anonymity", "drop_budget"]),
        ([], []),
    ],
)
def test_budgets(classes: list[int], failed: list[str]):
    assert [name for name, check in verdicts(masked(classes)).items() if not check.passed] == failed


def test_what_was_written_is_what_counts():
    """A class below k in the stored file fails the check, whatever masking believes."""
    written = Classes(k=4, classes=2, people=20, rows=20)
    check = verdicts(masked([10, 10]), written)["k_anonymity"]
    assert not check.passed
    assert check.blocking
    assert check.facts["k_measured"] == 4


def test_a_fair_day_says_what_was_measured():
    check = verdicts(masked([10, 7]))["k_anonymity"]
    assert check.description == "The smallest class of equal quasi-identifiers holds 7 people; k is 5."
