"""Labels of a day: judged like a delivery, joined with the night, and kept apart where they cannot be told."""

import hashlib
import json
from typing import Any

import pytest

from kedge.errors import Terminal, Transient
from kedge.labels import label as module
from kedge.labels.due import again
from kedge.labels.label import label
from kedge.labels.rules import checks
from kedge.lake import raw_ancestor

NIGHT = "2026-01-01"
GOOD = [f"p{number},{visit},{30 + number}" for number in range(10) for visit in (1, 2)]
LABELS = [
    f"p{number},{visit},{'yes' if visit == 2 else 'no'},zqnurse{number}" for number in range(10) for visit in (1, 2)
]


def test_labels_stand_beside_the_rows_they_belong_to(clinic: Any) -> None:
    validated = clinic.night(*GOOD)
    found = clinic.labels(*reversed(LABELS))
    assert found.labels.released, found.labels.reason
    rows = clinic.frame("labels")
    assert rows.columns == ["_row", "back"], "a dropped column is judged and not stored"
    assert rows["_row"].to_list() == list(range(20))
    assert rows["back"].to_list() == [False, True] * 10
    assert raw_ancestor(found.labels.version) == raw_ancestor(validated)
    assert found.labels.version.dataset.zone == "restricted"
    facts = found.labels.facts
    assert (facts["rows_in"], facts["labelled"], facts["labelled_share"], facts["quarantined"]) == (20, 20, 1.0, 0)


def test_every_check_that_is_announced_is_made_and_no_other(clinic: Any) -> None:
    clinic.night(*GOOD)
    found = clinic.labels(*LABELS).labels
    assert {check.name: check.blocking for check in found.checks} == {
        name: blocking for name, (blocking, _) in checks(clinic.declaration).items()
    }
    assert all(check.passed and check.description for check in found.checks if not check.name.endswith("_type"))


def test_what_cannot_be_told_goes_to_quarantine_with_the_reason(clinic: Any) -> None:
    clinic.declare(quarantine_at_most="50%")
    clinic.night(*GOOD, "twin,1,50", "twin,1,51")
    found = clinic.labels(
        *LABELS[:12],
        LABELS[0],  # repeated
        "p9,1,yes,",
        "p9,1,no,",  # contradicting
        "twin,1,yes,",  # several rows
        "nobody,1,yes,",  # unmatched
        "p8,1,perhaps,",  # no bool
        ",1,yes,",  # no key
    )
    assert found.labels.released, found.labels.reason
    assert clinic.frame("labels")["_row"].to_list() == list(range(12))
    facts = found.labels.facts
    names = ("labelled", "repeated", "contradicting", "several_rows", "unmatched", "quarantined")
    assert {name: facts[name] for name in names} == {
        "labelled": 12, "repeated": 1, "contradicting": 2, "several_rows": 1, "unmatched": 1, "quarantined": 5,
    }  # fmt: skip
    quarantine = clinic.frame("labels_quarantine")
    assert quarantine.columns == ["patient", "visit", "back", "nurse", "_row", "_reasons"]
    assert dict(quarantine.select("_row", "_reasons").iter_rows()) == {
        13: ["labels_contradict"],
        14: ["labels_contradict"],
        15: ["key_means_several_rows"],
        17: ["back_type"],
        18: ["patient_not_null"],
    }
    failed = {check.name for check in found.labels.checks if not check.passed}
    assert failed == {"labels_agree", "labels_single", "back_type", "patient_not_null"}


def test_too_much_in_quarantine_blocks(clinic: Any) -> None:
    clinic.night(*GOOD)
    found = clinic.labels(*LABELS, "p1,1,yes,", "p2,1,yes,")
    assert not found.labels.released
    assert "quarantine_share" in str(found.labels.reason)
    assert clinic.ws.dataset("clinic", "labels").current(NIGHT) is None


def test_labels_of_other_rows_block_and_some_strays_warn(clinic: Any) -> None:
    clinic.night(*GOOD)
    nobody = clinic.labels("x,1,yes,", "y,1,no,")
    assert "labels_present" in str(nobody.labels.reason)
    strays = clinic.labels(*LABELS, *(f"x{number},1,yes," for number in range(5)))
    assert strays.labels.released
    (check,) = (check for check in strays.labels.checks if check.name == "labels_matched")
    assert (check.passed, check.facts["unmatched"]) == (False, 5)


def test_a_column_that_nobody_declared_blocks_and_nothing_is_joined(clinic: Any) -> None:
    clinic.night(*GOOD)
    clinic.write("labels", "patient,visit,back,nurse,employer", [f"{row},zqmill" for row in LABELS])
    found = label(clinic.ws, clinic.declaration, NIGHT)
    assert found.quarantine is None
    assert "employer" in str(found.labels.reason)
    assert "zqmill" not in str(found.labels.reason)


def test_the_same_labels_again_write_nothing_and_corrected_ones_are_a_new_version(clinic: Any) -> None:
    clinic.night(*GOOD)
    first = clinic.labels(*LABELS).labels
    assert first.written
    assert not clinic.labels(*LABELS).labels.written
    corrected = clinic.labels(LABELS[0].replace("no", "yes"), *LABELS[1:]).labels
    assert corrected.version.id != first.version.id
    assert clinic.frame("labels")["back"].to_list()[:2] == [True, True]
    assert clinic.ws.dataset("clinic", "labels").version(NIGHT, first.version.id).is_whole()


def test_labels_are_joined_anew_when_the_night_is_delivered_again_though_their_file_has_gone(clinic: Any) -> None:
    clinic.night(*GOOD)
    first = clinic.labels(*LABELS).labels
    assert list(again(clinic.ws, clinic.declaration)) == []
    validated = clinic.night("late,1,80", *GOOD)
    [(partition, what)] = again(clinic.ws, clinic.declaration)
    assert partition == NIGHT
    assert validated.id in what
    (clinic.ws.settings.data / "labels" / f"{NIGHT}.csv").unlink()
    second = label(clinic.ws, clinic.declaration, NIGHT).labels
    assert raw_ancestor(second.version) != raw_ancestor(first.version)
    assert clinic.frame("labels")["_row"].to_list() == list(range(1, 21))
    assert list(again(clinic.ws, clinic.declaration)) == []


def test_blocked_labels_are_not_asked_for_again_until_something_changes(clinic: Any) -> None:
    clinic.night(*GOOD)
    assert not clinic.labels("x,1,yes,").labels.released
    assert list(again(clinic.ws, clinic.declaration)) == []
    clinic.night("x,1,80", *GOOD)
    assert len(list(again(clinic.ws, clinic.declaration))) == 1


def test_labels_need_their_night_and_their_file(clinic: Any) -> None:
    with pytest.raises(Terminal, match="validated"):
        clinic.labels(*LABELS)
    clinic.night(*GOOD)
    (clinic.ws.settings.data / "labels" / f"{NIGHT}.csv").unlink()
    with pytest.raises(Transient, match=f"labels/{NIGHT}.csv"):
        label(clinic.ws, clinic.declaration, NIGHT)


def test_the_file_may_go_once_it_is_in_the_lake(clinic: Any) -> None:
    clinic.declare(labels={"files": "labels/{date}.csv", "on": ["patient", "visit"], "after": "delete"})
    clinic.night(*GOOD)
    assert clinic.labels(*LABELS).labels.released
    assert not (clinic.ws.settings.data / "labels" / f"{NIGHT}.csv").exists()


# Raise kedge.labels.label.CODE_VERSION together with this digest when the same file and night have to give others.
GOLDEN = {1: "c2c91d4ebe6d48d7"}


def test_golden_labels(clinic: Any) -> None:
    clinic.declare(quarantine_at_most="50%")
    clinic.night(*GOOD, "twin,1,50", "twin,1,51")
    found = clinic.labels(*LABELS, "twin,1,yes,", "p1,1,yes,", "p1,2,no,", "nobody,1,no,")
    frames = [clinic.frame(name).write_ndjson() for name in ("labels", "labels_quarantine")]
    facts = {name: value for name, value in found.labels.facts.items() if not isinstance(value, str)}
    text = "".join(frames) + json.dumps(facts, sort_keys=True)
    assert {module.CODE_VERSION: hashlib.sha256(text.encode()).hexdigest()[:16]} == GOLDEN
