"""Labels: outcomes that arrive later than the rows they belong to."""

from collections.abc import Callable
from typing import Any

import pytest

from kedge.spec import Declaration
from kedge.spec.labels import contract

Declare = Callable[..., Declaration]
Refusal = Callable[..., dict[str, str]]


def late(**changes: Any) -> dict[str, Any]:
    """Settings of a bank whose outcome comes with the labels, and some others."""
    labels = {"files": "labels/{date}.csv", "on": ["customer_id"], "delay": "30d"}
    return {"labels": labels, "columns__left": {"type": "bool", "role": "target", "from": "labels"}, **changes}


def test_a_target_from_the_labels_is_no_column_of_the_delivery(declare: Declare) -> None:
    bank = declare(**late())
    assert bank.late == ("left",)
    assert bank.target == "left"
    assert "left" not in bank.delivered
    assert "left" not in bank.delivery.columns
    assert "left" not in bank.released
    assert "left" not in bank.features
    assert bank.labels is not None
    assert bank.labels.delay == 30


def test_without_labels_the_delivery_is_the_declaration_itself(declare: Declare) -> None:
    bank = declare()
    assert bank.delivery is bank
    assert bank.late == ()


def test_the_labels_file_has_a_contract_of_its_own(declare: Declare) -> None:
    bank = declare(**late(labels__delimiter=";", columns__customer_id__unique=True))
    file = contract(bank)
    assert file.name == "bank"
    assert tuple(file.columns) == file.delivered == ("customer_id", "left")
    assert file.source.files == "labels/{date}.csv"
    assert file.source.delimiter == ";"
    assert not file.columns["customer_id"].unique
    with pytest.raises(ValueError, match="labels"):
        contract(file)


@pytest.mark.parametrize(
    ("changes", "setting", "need"),
    [
        ({"columns__left__from": ...}, "columns.left", "from: labels for the target"),
        ({"labels__files": "labels/all.csv"}, "labels.files", "{date} exactly once"),
        ({"labels__files": "../{date}.csv"}, "labels.files", "without .."),
        ({"labels__files": "inbox/{date}.csv"}, "labels.files", "other files than source.files"),
        ({"labels__on": []}, "labels.on", "at least one column"),
        ({"labels__on": ["customer_id", "customer_id"]}, "labels.on", "each once"),
        ({"labels__on": ["unheard"]}, "labels.on.0", "a column of the delivery; got 'unheard', which is not declared"),
        ({"labels__on": ["left"]}, "labels.on.0", "a column of the delivery; got 'left', which comes from elsewhere"),
        ({"labels__delay": 30}, "labels.delay", "a number of days"),
        ({"labels__delimiter": ";;"}, "labels.delimiter", "exactly one"),
        ({"labels__replay": 5}, "labels.replay", "one of"),
        ({"columns__plan__from": "elsewhere"}, "columns.plan.from", "labels, or a mapping"),
        (
            {"columns__balance": {"type": "float", "from": "labels", "feature": True}},
            "columns.balance.feature",
            "the model must not see what comes later",
        ),
        ({"columns__balance": {"type": "float", "from": "labels", "protected": True}}, "columns.balance.protected", ""),
        ({"columns__zip": {"type": "string", "from": "labels", "quasi": True}}, "columns.zip.quasi", "not there yet"),
        (
            {"columns__ticket": {"type": "string", "from": "labels", "privacy": "token"}},
            "columns.ticket.privacy",
            "labels stay in the restricted zone",
        ),
        (
            {"columns__customer_id": {"type": "string", "role": "subject", "privacy": "token", "from": "labels"}},
            "columns.customer_id.role",
            "a column of the delivery",
        ),
        (
            {"columns__plan": {"type": "category", "from": "labels"}, "evaluation__slices": ["plan"]},
            "evaluation.slices.0",
            "a released column",
        ),
    ],
)
def test_what_labels_cannot_be(refusal: Refusal, changes: dict[str, Any], setting: str, need: str) -> None:
    assert need in refusal(**late(**changes))[setting]


def test_a_column_from_the_labels_needs_labels(refusal: Refusal) -> None:
    found = refusal(columns__left={"type": "bool", "role": "target", "from": "labels"})
    assert "labels to be declared; got none" in found["columns.left.from"]


def test_a_mistake_says_file_and_line(problems: Callable[[str], list[str]]) -> None:
    lines = problems(
        "type: pipelines.component.TrainingPipeline\n"
        "attributes:\n"
        "  partitions: {start: 2026-01-01}\n"
        '  source: {files: "inbox/{date}.csv"}\n'
        '  labels: {files: "labels/{date}.csv", on: [customer]}\n'
        "  columns:\n"
        "    customer: {type: string, role: subject, privacy: token}\n"
        "    balance: {type: float}\n"
        "    left: {type: bool, role: target}\n"
    )
    assert lines == [
        "pipelines/bank/defs.yaml:9: columns.left: needs from: labels for the target; got none. "
        "Write from: labels, or remove labels."
    ]


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({"labels__delay": "9d"}, set()),
        ({"labels__files": "elsewhere/{date}.csv"}, set()),
        ({"labels__after": "delete"}, set()),
        ({"labels__missing": ["?"]}, {"labels_raw"}),
        ({"labels__on": ["zip"]}, {"labels"}),
        ({"quarantine_at_most": 0.3}, {"labels", "validated"}),
        ({"columns__balance__max": 5}, {"validated"}),
    ],
)
def test_a_change_reaches_the_stages_that_read_it(declare: Declare, changes: dict[str, Any], stages: set[str]) -> None:
    before, after = declare(**late()), declare(**late(**changes))
    every = ("labels", "validated", "anonymized", "training_set", "model", "predictions")
    changed = {stage for stage in every if before.part(stage) != after.part(stage)}
    if contract(before).part("labels_raw") != contract(after).part("labels_raw"):
        changed.add("labels_raw")
    assert changed == stages
