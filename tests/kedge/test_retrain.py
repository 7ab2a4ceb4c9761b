import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.errors import Terminal
from kedge.retrain import ATTEMPTS_PER_NIGHT, NightVerdict, RetrainFacts, Retraining, RetrainPolicy, decide
from kedge.spec import Declaration

POLICY = RetrainPolicy(patience=2, cooldown=3, at_most_per_week=2)


def nights(marks: str, champion: str = "vA", start: int = 1) -> list[NightVerdict]:
    """`d` drifted, `q` quiet, `-` no verdict, `x` drifted under another champion; from January `start` on."""
    verdict = {"d": True, "q": False, "x": True, "-": None}
    who = {"d": champion, "q": champion, "x": "vOther", "-": None}
    return [
        NightVerdict(partition=f"2026-01-{start + i:02d}", drifted=verdict[m], champion=who[m])
        for i, m in enumerate(marks)
    ]


def run(day: int, ending: str, cause: str = "by hand") -> Retraining:
    return Retraining(partition=f"2026-01-{day:02d}", cause=cause, ending=ending)  # type: ignore[arg-type]


CASES = [
    # name, marks, retrainings, policy changes, cause or None, part of the reason
    ("no night", "", [], {}, None, "no night has a verdict"),
    ("only nights without a verdict", "--", [], {}, None, "no night has a verdict"),
    ("quiet", "qqq", [], {}, None, "quiet"),
    ("one drifted night is patience", "qd", [], {}, None, "patience asks for 2"),
    ("patience met", "qdd", [], {}, "vA:2026-01-02:1", "drift on 2 nights since 2026-01-02"),
    ("patience of one", "qd", [], {"patience": 1}, "vA:2026-01-02:1", "drift on 1 night since"),
    ("a quiet night resets", "ddqd", [], {}, None, "patience asks for 2"),
    ("the drift is over", "ddq", [], {}, None, "quiet"),
    ("no verdict neither counts nor resets", "d--d", [], {}, "vA:2026-01-01:1", "drift on 2 nights"),
    ("no verdict does not count", "d--", [], {}, None, "patience asks for 2"),
    ("another champion's verdicts do not count", "xxd", [], {}, None, "patience asks for 2"),
    ("nor do they reset", "dxd", [], {}, "vA:2026-01-01:1", "drift on 2 nights"),
    ("running", "dd", [run(1, "running")], {}, None, "a retraining is running"),
    ("cool-down after another cause", "qqdd", [run(2, "promoted")], {}, None, "1 of 3 days are left"),
    ("cool-down over", "qqqdd", [run(2, "promoted")], {}, "vA:2026-01-04:1", "drift"),
    ("cool-down of zero", "qqdd", [run(3, "promoted")], {"cooldown": 0}, "vA:2026-01-03:1", "drift"),
    ("a failed run has no cool-down", "dd", [run(2, "failed", "vA:2026-01-01:1")], {}, "vA:2026-01-01:2", "drift"),
    (
        "failing on and on waits for the next night",
        "dd",
        [run(2, "failed", f"vA:2026-01-01:{n}") for n in range(1, ATTEMPTS_PER_NIGHT + 1)],
        {},
        None,
        "3 runs failed on this night",
    ),
    (
        "the next night tries again",
        "ddd",
        [run(2, "failed", f"vA:2026-01-01:{n}") for n in range(1, ATTEMPTS_PER_NIGHT + 1)],
        {},
        "vA:2026-01-01:4",
        "drift",
    ),
    ("refused, in cool-down", "dddd", [run(2, "refused", "vA:2026-01-01:1")], {}, None, "cool-down"),
    ("refused again after cool-down", "ddddd", [run(2, "refused", "vA:2026-01-01:1")], {}, "vA:2026-01-01:2", "drift"),
    (
        "refused, no cool-down, same night",
        "dd",
        [run(2, "refused", "vA:2026-01-01:1")],
        {"cooldown": 0},
        None,
        "only a later night",
    ),
    (
        "refused, no cool-down, later night",
        "ddd",
        [run(2, "refused", "vA:2026-01-01:1")],
        {"cooldown": 0},
        "vA:2026-01-01:2",
        "drift",
    ),
    (
        "rolled back to the champion of a promoted cause",
        "ddddd",
        [run(2, "promoted", "vA:2026-01-01:1")],
        {},
        "vA:2026-01-01:2",
        "drift",
    ),
    (
        "weekly budget",
        "qqqqqqqdd",
        [run(3, "refused"), run(6, "promoted")],
        {},
        None,
        "weekly budget is used up: 2 of 2",
    ),
    (
        "the week is over",
        "qqqqqqqqdd",
        [run(3, "refused"), run(6, "promoted")],
        {},
        "vA:2026-01-09:1",
        "drift",
    ),
    (
        "failed runs do not use up the budget",
        "ddd",
        [run(1, "failed"), run(1, "failed"), run(2, "failed")],
        {},
        "vA:2026-01-01:1",
        "drift",
    ),
    ("a budget of none", "dd", [], {"at_most_per_week": 0}, None, "weekly budget"),
    ("maximum age", "q" * 12, [], {"at_least_every": 10}, "vA:age:1", "11 days old"),
    ("young enough", "q" * 10, [], {"at_least_every": 10}, None, "quiet"),
    ("drift goes before age", "q" * 10 + "dd", [], {"at_least_every": 10}, "vA:2026-01-11:1", "drift"),
    ("age while drift lacks patience", "q" * 10 + "d", [], {"at_least_every": 10}, "vA:age:1", "10 days old"),
    ("age refused", "q" * 13, [run(12, "refused", "vA:age:1")], {"at_least_every": 10}, None, "cool-down"),
]


@pytest.mark.parametrize(
    ("marks", "past", "changes", "cause", "reason"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_every_branch(marks: str, past: list[Retraining], changes: dict, cause: str | None, reason: str) -> None:
    facts = RetrainFacts(champion="vA", since="2026-01-01", nights=nights(marks), retrainings=past)
    decision = decide(facts, replace(POLICY, **changes))
    assert decision.cause == cause
    assert decision.action == ("wait" if cause is None else "retrain")
    assert reason in decision.reason


def test_no_champion_waits() -> None:
    assert "no champion yet" in decide(RetrainFacts(champion=None, nights=nights("dddd")), POLICY).reason


def test_the_answer_names_the_episode_and_how_far_to_train() -> None:
    decision = decide(RetrainFacts(champion="vA", nights=nights("qd-dx-")), POLICY)
    assert decision.episode == ("2026-01-02", "2026-01-04")
    assert decision.until == "2026-01-04"


def test_an_old_champion_without_a_start_has_no_age() -> None:
    decision = decide(RetrainFacts(champion="vA", nights=nights("q" * 20)), replace(POLICY, at_least_every=5))
    assert decision.action == "wait"


def test_the_policy_is_the_declared_one() -> None:
    attributes = {
        "partitions": {"start": "2026-01-01"},
        "source": {"files": "{date}.csv"},
        "columns": {"balance": {"type": "float"}, "left": {"type": "bool", "role": "target"}},
        "drift": {"patience": 3},
        "retrain": {"cooldown": "5d", "at_most_per_week": 1, "at_least_every": "10d"},
    }
    policy = RetrainPolicy.of(Declaration.named("bank", attributes))
    assert policy == RetrainPolicy(patience=3, cooldown=5, at_most_per_week=1, at_least_every=10)
    facts = RetrainFacts(champion="vA", since="2026-01-01", nights=nights("q" * 12))
    assert decide(facts, policy).cause == "vA:age:1"


def test_the_demo_story() -> None:
    """N6, N7 drift: promoted; N10, N11 drift: asked again (and refused); N12 clean: rest."""
    first = nights("qq--qdd")
    at_seven = decide(RetrainFacts(champion="vA", nights=first), POLICY)
    assert (at_seven.cause, at_seven.episode) == ("vA:2026-01-06:1", ("2026-01-06", "2026-01-07"))
    past = [Retraining(partition="2026-01-07", cause="vA:2026-01-06:1", ending="promoted")]
    second = [*first, *nights("qqdd", "vB", 8)]
    assert decide(RetrainFacts(champion="vB", nights=second[:-1], retrainings=past), POLICY).action == "wait"
    at_eleven = decide(RetrainFacts(champion="vB", nights=second, retrainings=past), POLICY)
    assert at_eleven.cause == "vB:2026-01-10:1"
    past.append(Retraining(partition="2026-01-11", cause="vB:2026-01-10:1", ending="refused"))
    last = [*second, *nights("q", "vB", 12)]
    assert decide(RetrainFacts(champion="vB", nights=last, retrainings=past), POLICY).action == "wait"


@given(st.text("dqx-", max_size=20), st.integers(1, 4), st.randoms(use_true_random=False))
def test_one_run_per_cause_in_any_order_of_facts(marks: str, patience: int, shuffle: object) -> None:
    known = nights(marks)
    policy = replace(POLICY, patience=patience, cooldown=0, at_most_per_week=100)
    first = decide(RetrainFacts(champion="vA", nights=known), policy)
    shuffle.shuffle(known)  # type: ignore[attr-defined]
    assert decide(RetrainFacts(champion="vA", nights=known), policy) == first
    if first.action == "retrain":
        assert first.until is not None
        assert first.cause is not None
        done = Retraining(partition=first.until, cause=first.cause, ending="refused")
        assert decide(RetrainFacts(champion="vA", nights=known, retrainings=[done]), policy).action == "wait"


@pytest.mark.parametrize("change", [{"patience": 0}, {"cooldown": -1}, {"at_least_every": 0}, {"at_most_per_week": -1}])
def test_a_policy_out_of_range_is_refused(change: dict) -> None:
    with pytest.raises(Terminal, match=f"retrain.{next(iter(change))}: needs at least"):
        replace(POLICY, **change)


def test_a_partition_that_is_no_date_is_refused() -> None:
    with pytest.raises(Terminal, match="calendar date"):
        decide(RetrainFacts(champion="vA", nights=[NightVerdict(partition="all", drifted=True, champion="vA")]), POLICY)


def test_the_module_is_light() -> None:
    code = "import sys, kedge.retrain; print([m for m in ('numpy', 'polars', 'pydantic', 'yaml') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_drift_waits_until_there_are_labels_to_learn_from() -> None:
    drifted = [replace(night, labelled=False) for night in nights("qddd")]
    waiting = decide(RetrainFacts(champion="vA", nights=drifted), POLICY)
    assert waiting.action == "wait"
    assert waiting.reason == (
        "drift on 3 nights since 2026-01-02, but labels have come for 0 of them, and patience asks for 2"
    )
    some = [drifted[0], replace(drifted[1], labelled=True), replace(drifted[2], labelled=True), drifted[3]]
    found = decide(RetrainFacts(champion="vA", nights=some), POLICY)
    assert (found.cause, found.until) == ("vA:2026-01-02:1", "2026-01-04")
    assert found.episode == ("2026-01-02", "2026-01-03", "2026-01-04")


def test_age_does_not_wait_for_the_labels_of_drifted_nights() -> None:
    drifted = [replace(night, labelled=False) for night in nights("qddd")]
    facts = RetrainFacts(champion="vA", since="2026-01-01", nights=drifted)
    assert decide(facts, replace(POLICY, at_least_every=3)).cause == "vA:age:1"
