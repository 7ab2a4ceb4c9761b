import json
from collections.abc import Callable

import pytest

from kedge.errors import Terminal
from kedge.privacy.plan import Plan, PlannedColumn
from kedge.spec import Declaration


def test_plan_survives_json(declaration: Declaration):
    plan = Plan.of(declaration)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_id_is_stable(declaration: Declaration):
    """Models name their plan by this id."""
    assert Plan.of(declaration).id == "p5e132ca4ff4c0541900a7c52cd96d5e8"


def test_id_changes_with_what_is_released_and_with_nothing_else(declare: Callable[..., Declaration]):
    plan = Plan.of(declare())
    assert Plan.of(declare(description="Another text", quarantine_at_most=0.5)).id == plan.id
    assert Plan.of(declare(privacy={"k": 11})).id != plan.id
    assert Plan.of(declare(privacy={"mask_at_most": "50%"})).id == plan.id


def test_what_crosses_the_border(declaration: Declaration):
    plan = Plan.of(declaration)
    assert [column.name for column in plan.released] == list(declaration.released)
    assert plan.quasi == ("birth_date", "zip")
    assert plan.subject == "customer_id"
    assert {column.name: column.domain for column in plan.columns if column.domain} == {
        "customer_id": "customer_id",
        "email": "email",
    }


def test_a_plan_of_another_method_is_refused(declaration: Declaration):
    data = Plan.of(declaration).to_json() | {"method": 99}
    with pytest.raises(Terminal, match="Train a model anew"):
        Plan.from_json(data)


@pytest.mark.parametrize(
    ("column", "need"),
    [
        ({"name": "a", "type": "integer", "treatment": "bins", "width": 2.5}, "a whole number as width"),
        ({"name": "a", "type": "float", "treatment": "bins"}, "width above 0"),
        ({"name": "a", "type": "string", "treatment": "prefix"}, "at least 1 character"),
        ({"name": "a", "type": "string", "treatment": "hash"}, "one of bins, drop"),
    ],
)
def test_columns_that_cannot_be_carried_out_are_refused(column: dict[str, object], need: str):
    with pytest.raises(Terminal, match=need):
        PlannedColumn(**column)
