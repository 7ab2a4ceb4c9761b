"""Columns taken from an earlier night, other spellings, and the positive value: what is refused, and why."""

from collections.abc import Callable
from typing import Any

import pytest

from kedge.spec import Declaration
from kedge.spec.lag import Lag

Declare = Callable[..., Declaration]
Refusal = Callable[..., dict[str, str]]

LAG = {"column": "balance", "lag": "1d", "on": ["customer_id"]}


def _before(**changes: Any) -> dict[str, Any]:
    return {"type": "float", "nulls": "100%", "from": LAG} | changes


def test_a_lagged_column_is_not_delivered_and_is_a_feature(declare: Declare) -> None:
    bank = declare(columns__before=_before())
    assert "before" not in bank.delivered
    assert "before" in bank.features
    assert "before" in bank.released
    assert bank.columns["before"].from_ == Lag(column="balance", lag="1d", on=["customer_id"])  # type: ignore[arg-type]
    assert bank.part("validated") != declare(columns__before=_before(**{"from": LAG | {"lag": "2d"}})).part("validated")


def test_the_key_on_is_understood_as_dagster_reads_it(declare: Declare) -> None:
    """A reader of YAML 1.1 takes it for true."""
    lag = {"column": "balance", "lag": "1d", True: ["customer_id"]}
    assert declare(columns__before=_before(**{"from": lag})) == declare(columns__before=_before())


@pytest.mark.parametrize(
    ("lag", "said"),
    [
        ("yesterday", "labels, or a mapping"),
        (LAG | {"lag": "1"}, "a number of days"),
        (LAG | {"on": []}, "at least one column"),
        (LAG | {"column": "nothing"}, "delivered columns"),
        (LAG | {"on": ["before"]}, "delivered columns"),
    ],
)
def test_a_lag_is_refused(refusal: Refusal, lag: Any, said: str) -> None:
    found = refusal(columns__before=_before(**{"from": lag}))
    assert len(found) == 1
    ((at, message),) = found.items()
    assert at.startswith("columns.before.from")
    assert said in message


def test_yesterdays_value_is_as_personal_as_todays(refusal: Refusal) -> None:
    lag = LAG | {"column": "zip"}
    found = refusal(columns__before=_before(type="string", **{"from": lag}))
    assert set(found) == {"columns.before.privacy", "columns.before.quasi"}
    decided = _before(type="string", privacy={"prefix": 1}, quasi=True, **{"from": lag})
    assert refusal(columns__before=decided) == {}
    sex = _before(type="category", values=["f", "m"], **{"from": LAG | {"column": "sex"}})
    assert set(refusal(columns__before=sex)) == {"columns.before.protected"}


def test_a_lagged_column_has_no_role(refusal: Refusal) -> None:
    assert "columns.before.role" in refusal(columns__before=_before(nulls=0, role="exposure", min=1))


def test_a_test_file_is_one_file_apart_from_the_nights(declare: Declare, refusal: Refusal) -> None:
    assert declare(evaluation__test="official/test.csv").evaluation.test == "official/test.csv"
    for path in ("../test.csv", "{date}.csv", "test/*.csv", ""):
        assert set(refusal(evaluation__test=path)) == {"evaluation.test"}
    replayed = {"files": "all.csv", "replay": 10}
    assert "apart" in refusal(source=replayed, evaluation__test="all.csv")["evaluation.test"]
    assert "night" in refusal(columns__before=_before(), evaluation__test="test.csv")["evaluation.test"]


def test_a_target_of_several_values_names_the_positive_one(declare: Declare, refusal: Refusal) -> None:
    target = {"type": "category", "role": "target", "values": ["NO", "<30", ">30"]}
    assert declare(columns__left=target | {"positive": "<30"}).positive == "<30"
    assert declare(columns__left=target | {"values": ["no", "yes"], "positive": "no"}).positive == "no"
    assert "positive: VALUE" in refusal(columns__left=target)["columns.left.type"]
    assert "columns.left.positive" in refusal(columns__left=target | {"positive": "yes"})
    assert "columns.plan.positive" in refusal(columns__plan__positive="basic")


@pytest.mark.parametrize(
    ("aliases", "said"),
    [
        ({"plus": "basic"}, "no declared values"),
        ({"B": "best"}, "one of values"),
        ({"B": "basic", "basic": "plus"}, "no spellings"),
    ],
)
def test_an_alias_leads_to_one_value(refusal: Refusal, aliases: dict[str, str], said: str) -> None:
    assert said in str(
        refusal(columns__plan={"type": "category", "values": ["basic", "plus"], "aliases": aliases})
    ) or (said in str(refusal(columns__plan={"type": "category", "aliases": aliases})))


def test_aliases_are_for_texts_and_truth_values(declare: Declare, refusal: Refusal) -> None:
    assert declare(columns__left__aliases={"ja": "true"}).columns["left"].aliases == {"ja": "true"}
    assert "category" in refusal(columns__balance__aliases={"0,5": "0.5"})["columns.balance.aliases"]
    assert declare(columns__plan__aliases={"B": "basic"}).part("validated") != declare().part("validated")
