"""Targets that are numbers and counts, their exposure, and the gates that fit them."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from kedge.spec import Declaration

Declare = Callable[..., Declaration]
Refusal = Callable[..., dict[str, str]]

NUMBER = {"columns__left": {"type": "float", "role": "target"}}
COUNT = {"columns__left": {"type": "integer", "role": "target", "min": 0}}
YEARS = {"columns__years": {"type": "float", "role": "exposure", "min": 0.001}}


def test_the_targets_type_says_what_is_learned(declare: Declare) -> None:
    found = [declare(), declare(**NUMBER), declare(**COUNT)]
    assert [(d.task, d.lead) for d in found] == [("binary", "auc"), ("regression", "r2"), ("count", "deviance_gain")]


def test_the_exposure_is_released_and_no_feature(declare: Declare) -> None:
    found = declare(**COUNT, **YEARS)
    assert found.exposure == "years"
    assert "years" in found.released
    assert "years" not in found.features
    assert declare(**COUNT).exposure is None


def test_what_is_learned_is_part_of_the_stages_that_learn_and_measure(declare: Declare) -> None:
    alone, exposed = declare(**COUNT), declare(**COUNT, **YEARS)
    for stage in ("model", "evaluation", "drift_report"):
        assert alone.part(stage)["task"] == "count"
        assert exposed.part(stage)["exposure"] == "years"
        assert "positive" not in alone.part(stage)
        assert "task" not in declare().part(stage)


def test_groups_of_equal_features_depend_on_the_features(declare: Declare) -> None:
    by = {"evaluation__by": "features"}
    first, second = declare(**by), declare(**by, columns__plan__feature=False)
    assert first.part("training_set") != second.part("training_set")
    assert "features" not in declare().part("training_set")


@pytest.mark.parametrize(
    ("settings", "gate"),
    [
        (NUMBER, {"rmse": "<= 250"}),
        (NUMBER, {"mae": "<= 90.5"}),
        (NUMBER, {"r2": ">= 0.2"}),
        (COUNT, {"poisson_deviance": "<= 1.5"}),
        (COUNT, {"deviance_gain": ">= 0.02"}),
        (COUNT | {"evaluation__slices": ["plan"]}, {"worst_slice_deviance_gain": ">= 0"}),
        (NUMBER | {"evaluation__slices": ["plan"]}, {"worst_slice_r2": ">= 0"}),
    ],
)
def test_gates_that_fit(declare: Declare, settings: dict[str, Any], gate: dict[str, str]) -> None:
    assert list(declare(**settings, gates=gate).gates) == list(gate)


@pytest.mark.parametrize(
    ("settings", "place", "message"),
    [
        ({"columns__left": {"type": "integer", "role": "target"}}, "columns.left.min", "type: float for a number"),
        ({"columns__left": {"type": "integer", "role": "target", "min": -1}}, "columns.left.min", "got -1.0"),
        ({"columns__left": {"type": "date", "role": "target"}}, "columns.left.type", "integer (a count) or float"),
        (YEARS, "columns.years", "needs a count target (type: integer, min: 0)"),
        (NUMBER | YEARS, "columns.years", "got a target of type float"),
        (COUNT | YEARS | {"columns__days": YEARS["columns__years"]}, "columns.days", "at most one column"),
        (COUNT | YEARS | {"columns__years__min": ...}, "columns.years.min", "a number above 0 for the exposure"),
        (COUNT | YEARS | {"columns__years__min": 0}, "columns.years.min", "got 0.0"),
        (
            COUNT | {"columns__years": {"type": "bool", "role": "exposure"}},
            "columns.years.role",
            "type float or integer",
        ),
        (COUNT | YEARS | {"columns__years__privacy": "drop"}, "columns.years.privacy", "nothing for the exposure"),
        (COUNT | YEARS | {"columns__years__nulls": "5%"}, "columns.years.nulls", "0 for the exposure"),
        (COUNT | {"gates": {"auc": ">= 0.7"}}, "gates.auc", "compared by deviance_gain"),
        (NUMBER | {"gates": {"deviance_gain": ">= 0.1"}}, "gates.deviance_gain", "rmse, mae, r2"),
        ({"gates": {"r2": ">= 0.1"}}, "gates.r2", "a metric of a binary target"),
        (COUNT | {"gates": {"deviance_gain": "<= 0.1"}}, "gates.deviance_gain", "needs >= for deviance_gain"),
        (NUMBER | {"gates": {"rmse": ">= 3"}}, "gates.rmse", "needs <= for rmse"),
        (NUMBER | {"gates": {"r2": ">= 3"}}, "gates.r2", "a bound from 0 to 1"),
        (NUMBER | {"gates": {"worst_slice_r2": ">= 0"}}, "gates.worst_slice_r2", "needs evaluation.slices"),
        (
            NUMBER | {"gates": {"worst_slice_auc": ">= 0.5"}, "evaluation__slices": ["plan"]},
            "gates.worst_slice_auc",
            "a metric of a regression target",
        ),
        (COUNT | {"evaluation__slices": ["left"]}, "evaluation.slices.0", "of few values"),
    ],
)
def test_what_does_not_fit_is_a_mistake(refusal: Refusal, settings: dict[str, Any], place: str, message: str) -> None:
    found = refusal(**deepcopy(settings))
    assert list(found) == [place]
    assert message in found[place]
