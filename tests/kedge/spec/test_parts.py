"""Which settings a stage's version depends on; the golden parts guard the versions that are stored already."""

from collections.abc import Callable
from typing import Any

import pytest

from kedge.spec import Declaration, canonical, digest

Declare = Callable[..., Declaration]
STAGES = (
    "raw", "validated", "quarantine", "anonymized", "training_set", "model", "evaluation", "champion", "predictions",
    "predictions_restricted", "drift_report",
)  # fmt: skip

# A change here makes stored versions stale: nightly data is written again and models are trained again.
GOLDEN = {
    "raw": "44136fa355b3678a1146ad16f7e8649e",
    "validated": "4ec0770c6abf5dd1802094567fe3efbb",
    "quarantine": "4ec0770c6abf5dd1802094567fe3efbb",
    "anonymized": "2f95cc4de0ebc940f5f32a7c452cb66d",
    "training_set": "780d63dc7752bc34bdc5427f1654333b",
    "model": "6bfc43a87e92918c55c5e95c1e21ba07",
    "evaluation": "4f38bd8551a0e51605569946290e94c2",
    "champion": "362f0eea868ddc365bc6d3c2406ddba5",
    "predictions": "80ab99879b2ad801517998e942fc3383",
    "predictions_restricted": "80ab99879b2ad801517998e942fc3383",
    "drift_report": "a8f1a378f8ae8dec90bd2ea7f7e52f31",
    "declaration": "f669b39e35f8aee649521528fcb44246",
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_part_is_json_and_the_same_as_ever(declare: Declare, stage: str) -> None:
    assert digest(declare(gates={"auc": ">= 0.7"}).part(stage))[:32] == GOLDEN[stage]


def test_the_digest_is_the_same_as_ever(declare: Declare) -> None:
    assert declare().digest[:32] == GOLDEN["declaration"]


CHANGES: list[tuple[dict[str, Any], set[str]]] = [
    ({"description": "another"}, set()),
    ({"owners": ["team:a"]}, set()),
    ({"compute": {"model": {"gpu": 1}}}, set()),
    ({"retrain": {"cooldown": "9d"}}, set()),
    ({"audit": {"anchor": "/mnt/worm/kedge"}}, set()),
    ({"retrain": {"at_least_every": "30d"}}, set()),
    ({"drift": {"patience": 5}}, set()),
    ({"source__files": "elsewhere/{date}.csv"}, set()),
    ({"source__after": "delete"}, set()),
    ({"source__delimiter": ";"}, {"raw"}),
    ({"source__missing": ["?"]}, {"raw"}),
    ({"columns__balance__max": 9}, {"validated", "quarantine"}),
    ({"quarantine_at_most": 0.2}, {"validated", "quarantine"}),
    (
        {"columns__zip__privacy": {"prefix": 2}},
        {"anonymized", "training_set", "predictions", "predictions_restricted"},
    ),
    ({"privacy": {"k": 20}}, {"anonymized", "training_set"}),
    ({"training": {"window": "30d"}}, {"training_set"}),
    ({"evaluation": {"holdout": 0.3}}, {"training_set", "evaluation"}),
    ({"training": {"seed": 1}}, {"model"}),
    ({"columns__sex__feature": True}, {"model", "evaluation", "drift_report"}),
    ({"gates": {"auc": ">= 0.7"}}, {"evaluation", "champion"}),
    ({"champion": {"margin": 0.01}}, {"evaluation", "champion"}),
    ({"drift": {"share": 0.4}}, {"drift_report"}),
]


@pytest.mark.parametrize(("changes", "stages"), CHANGES, ids=[next(iter(changes)) for changes, _ in CHANGES])
def test_a_change_reaches_the_stages_that_read_the_setting(
    declare: Declare, changes: dict[str, Any], stages: set[str]
) -> None:
    before, after = declare(), declare(**changes)
    assert {stage for stage in STAGES if before.part(stage) != after.part(stage)} == stages
    assert before.digest != after.digest


def test_columns_in_another_order_are_another_declaration(
    declare: Declare, varied: Callable[..., dict[str, Any]]
) -> None:
    columns = varied()["columns"]
    reversed_ = dict(reversed(columns.items()))
    assert declare(columns=reversed_).digest != declare().digest
    headless = {"source__header": False}
    assert declare(columns=reversed_, **headless).part("raw") != declare(**headless).part("raw")
    assert declare(columns=reversed_).part("raw") == declare().part("raw")


def test_a_replayed_file_depends_on_its_first_night(declare: Declare) -> None:
    replay = {"source": {"files": "table.csv", "replay": 100}}
    moved = declare(**replay, partitions={"start": "2026-01-02"})
    assert moved.part("raw") != declare(**replay).part("raw")


def test_days_by_a_column_depend_on_its_type_and_on_the_time_zone(declare: Declare) -> None:
    dated = {"source": {"files": "table.csv", "date_column": "birth_date"}}
    moved = declare(**dated, partitions__timezone="Europe/Berlin")
    later = declare(**dated, partitions__start="2026-01-02")
    assert moved.part("raw") != declare(**dated).part("raw")
    assert later.part("raw") == declare(**dated).part("raw")
    assert declare(partitions__timezone="Europe/Berlin").part("raw") == declare().part("raw")


def test_settings_at_their_default_leave_no_trace(declare: Declare) -> None:
    stated = declare(
        quarantine_at_most=0.1,
        privacy={"k": 10, "mask_at_most": "5%", "drop_at_most": 0.01},
        evaluation={"holdout": "20%", "by": "subject", "slices": []},
        training={"window": "60d", "model": "auto", "device": "auto", "seed": 0},
        drift={"window": "1d", "share": "30%", "patience": 2},
        columns__balance={"type": "float", "min": 0, "nulls": 0, "unique": False, "quasi": False},
    )
    assert stated.digest == declare().digest
    assert [stated.part(stage) for stage in STAGES] == [declare().part(stage) for stage in STAGES]


def test_an_unknown_stage_is_an_error_of_the_caller(declare: Declare) -> None:
    with pytest.raises(ValueError, match="stage: needs one of raw"):
        declare().part("rwa")


def test_canonical_json_is_sorted_tight_and_utf8() -> None:
    assert canonical({"b": [1, 2.5, None, True], "a": "é"}) == '{"a":"é","b":[1,2.5,null,true]}'.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(float("nan"))
