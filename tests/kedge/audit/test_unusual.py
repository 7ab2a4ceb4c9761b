"""Unusual access: each planted incident is found, quiet years stay nearly silent, and each rule at its edges."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kedge.audit.alert import Alert
from kedge.audit.habit import FACTOR, FEW, bound, quantile
from kedge.audit.unusual import LEARNING_DAYS, Watch
from kedge.spec.audit import RULES, Rule, Unusual
from kedge.testing.accesses import CLERK, OFFICER, Trail

ZONE = "Europe/Berlin"
WINDOW = 60


def watch(**rules: Any) -> Watch:
    return Watch(Unusual.model_validate(rules), ZONE, WINDOW)


def alerts(trail: Trail, rules: Watch | None = None) -> list[Alert]:
    rules = rules or watch()
    return [alert for number, entry in trail.entries() for alert in rules.look(number, entry)]


def entry(at: str, action: str = "read", name: str = "anna", run: str | None = None, **facts: Any) -> dict[str, Any]:
    place = {"dataset": "validated", "partition": "2026-01-01", "version": "v1"}
    who = {"actor": {"kind": "os", "name": name, "uid": 1}, "run": run}
    return {"time": at, "action": action, "phase": "event", **who, **place, **facts}


def told(rules: Watch, entries: list[dict[str, Any]], start: int = 1_000) -> list[str]:
    return [alert.rule for number, one in enumerate(entries, start) for alert in rules.look(number, one)]


def months(rules: Watch, name: str = "anna", run: bool = False, per_day: int = 3, hour: int = 9) -> None:
    """Seventy quiet days that end with 2026-03-11."""
    for day in range(70):
        when = date.fromordinal(date(2026, 1, 1).toordinal() + day)
        for version in range(per_day):
            one = entry(
                f"{when}T{hour:02}:00:00.000Z", name=name, version=f"v{version}", run=f"r{day}" if run else None
            )
            assert rules.look(day, one) == []


# --- generated histories


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", RULES)
def test_each_planted_incident_is_found_on_its_day_and_names_who_did_it(rule: Rule, seed: int) -> None:
    trail = Trail(seed, days=200)
    planted = trail.plant(rule, day=150 + seed)
    found = [(alert.rule, alert.identity, alert.day) for alert in alerts(trail)]
    assert (rule, planted.identity, planted.day.isoformat()) in found


def test_quiet_years_raise_less_than_one_alert_in_three_months() -> None:
    histories, days, warm = 9, 730, 90
    found = [alert for seed in range(100, 100 + histories) for alert in alerts(Trail(seed, days=days))]
    quarters = histories * (days - warm) / 91.25
    late = [alert for alert in found if alert.day >= "2024-03-31"]
    assert quarters * 3 > 180
    assert len(late) / quarters <= 1, Counter(alert.rule for alert in late)
    assert not [alert for alert in late if alert.rule in ("denied", "identity")]


def test_every_new_colleague_is_told_once_and_a_declared_one_never() -> None:
    trail = Trail(7, days=400, hires=True)
    hired = [analyst.name for analyst in trail.analysts if analyst.name.startswith("hire")]
    found = [alert.identity for alert in alerts(trail) if alert.rule == "identity"]
    assert sorted(found) == sorted(hired)
    everybody = [*(analyst.name for analyst in trail.analysts), CLERK, OFFICER, "kedge"]
    assert not [alert for alert in alerts(trail, watch(identities=everybody)) if alert.rule == "identity"]


def test_a_watch_that_is_stopped_anywhere_and_goes_on_tells_the_same() -> None:
    trail = Trail(3, days=250)
    for rule in RULES:
        trail.plant(rule, day=200)
    straight = alerts(trail)
    rules, found, at = watch(), [], random.Random(1)
    for number, one in trail.entries():
        found += rules.look(number, one)
        if at.random() < 0.002:
            memory = json.loads(json.dumps(rules.to_json()))
            rules = watch()
            rules.resume(memory)
    assert {alert.rule for alert in straight} == set(RULES)
    assert found == straight


def test_memory_stays_small() -> None:
    rules = watch()
    assert alerts(Trail(5, days=900), rules) is not None
    assert len(json.dumps(rules.to_json())) < 100_000


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_that_is_ignored_is_silent(rule: Rule) -> None:
    trail = Trail(2, days=200)
    trail.plant(rule, day=150)
    assert rule not in {alert.rule for alert in alerts(trail, watch(ignore=[rule]))}


# --- volume


@pytest.mark.parametrize(("mean", "dispersion"), [(1.0, 0.1), (4.0, 0.5), (40.0, 1.0), (300.0, 0.2)])
@pytest.mark.parametrize("chance", [1e-2, 1e-5])
def test_the_quantile_is_scipys(mean: float, dispersion: float, chance: float) -> None:
    size = 1 / dispersion
    assert quantile(mean, dispersion, chance) == stats.nbinom.isf(chance, size, size / (size + mean))


def test_chance_passes_the_bound_no_more_often_than_stated() -> None:
    r = np.random.default_rng(0)
    passed = 0
    for _ in range(4_000):
        counts = [1 + int(count) for count in r.negative_binomial(2, 2 / (2 + 8), 41)]
        passed += counts[0] > bound(counts[1:], [])
    assert passed <= 2


def test_bounds() -> None:
    assert bound([], []) == FEW
    assert bound([], [], 480) == 480
    assert bound([1] * 50, []) == FEW
    assert bound([100] * 50, []) >= FACTOR * 100
    assert bound([5] * 3, [100] * 50) >= FACTOR * 100
    assert bound([10, 200], [10, 200]) >= FACTOR * 200


def test_the_same_version_again_is_no_volume() -> None:
    rules = watch()
    months(rules)
    assert told(rules, [entry("2026-03-12T09:00:00.000Z")] * 500) == []
    many = [entry("2026-03-12T10:00:00.000Z", version=f"w{number}") for number in range(500)]
    assert told(rules, many) == ["volume"]


def test_a_run_may_read_its_window_and_is_judged_by_itself() -> None:
    rules = watch()
    months(rules, run=True)
    window = [entry("2026-03-12T09:00:00.000Z", run="a", version=f"w{number}") for number in range(8 * WINDOW)]
    again = [{**one, "run": "b", "version": f"x{number}"} for number, one in enumerate(window)]
    assert told(rules, window + again) == []
    assert told(rules, [entry("2026-03-12T09:00:00.000Z", run="b", version=f"y{number}") for number in range(9)]) == [
        "volume"
    ]


def test_a_day_that_was_reported_does_not_excuse_the_next() -> None:
    rules = watch()
    months(rules)
    for day in (12, 13):
        many = [entry(f"2026-03-{day}T09:00:00.000Z", version=f"{day}{number}") for number in range(1_000)]
        assert told(rules, many) == ["volume"]


# --- hour


def test_hours_are_those_of_the_pipelines_calendar_also_when_clocks_change() -> None:
    rules = watch(hours="mon-fri 9-17", ignore=["identity"])
    assert told(rules, [entry("2026-03-27T08:00:00.000Z")]) == []  # Friday 9:00, winter time
    assert told(rules, [entry("2026-03-27T16:00:00.000Z")]) == ["hour"]
    assert told(rules, [entry("2026-03-30T07:00:00.000Z")]) == []  # Monday 9:00, summer time
    assert told(rules, [entry("2026-03-30T06:59:00.000Z")]) == ["hour"]
    assert told(rules, [entry("2026-04-04T10:00:00.000Z")]) == ["hour"]  # Saturday


def test_an_hour_is_told_once_a_day_and_becomes_usual_after_three() -> None:
    rules = watch()
    months(rules)
    found = [told(rules, [entry(f"2026-03-{day}T02:00:00.000Z")] * 2) for day in range(12, 18)]
    assert found == [["hour"]] * 3 + [[]] * 3


def test_runs_have_no_hours() -> None:
    rules = watch(ignore=["identity"])
    months(rules)
    assert told(rules, [entry("2026-03-12T02:00:00.000Z", run="r")]) == []


# --- identity, denied, copies, anchor


def test_nobody_is_new_while_the_log_is_young() -> None:
    rules = watch()
    for day in range(1, LEARNING_DAYS + 1):
        assert told(rules, [entry(f"2026-01-{day:02}T09:00:00.000Z", name=f"p{day}")]) == []
    assert told(rules, [entry("2026-01-29T09:00:00.000Z", name="new")]) == ["identity"]
    assert (
        told(rules, [entry("2026-01-29T10:00:00.000Z", name="new"), entry("2026-02-20T10:00:00.000Z", name="new")])
        == []
    )


def test_the_runs_of_an_account_do_not_introduce_its_person() -> None:
    rules = watch()
    months(rules, name="kedge", run=True)
    [alert] = rules.look(99, entry("2026-03-12T09:00:00.000Z", name="kedge"))
    assert (alert.rule, alert.identity) == ("identity", "kedge")


def test_denied_decrypts_in_a_row() -> None:
    at = "2026-01-01T09:00:00.000Z"
    denied, opened = entry(at, "denied", file="rows", what="KeyGone"), entry(at, version="v2")
    assert told(watch(), [denied] * 2) == []
    assert told(watch(), [denied] * 9) == ["denied"]
    assert told(watch(), [denied, denied, opened, denied, denied]) == []
    assert told(watch(denied=2), [denied, denied]) == ["denied"]
    others = [entry(at, "denied", name=name) for name in ("anna", "ben", "anna", "ben")]
    assert told(watch(), others) == []


def test_a_read_that_is_logged_before_its_file_fails_to_open_is_no_success() -> None:
    at = "2026-01-01T09:00:00.000Z"
    assert told(watch(), [entry(at), entry(at, "denied")] * 3) == ["denied"]


def test_a_row_of_denials_goes_on_over_days_and_is_told_every_day() -> None:
    days = [entry(f"2026-01-0{day}T09:00:00.000Z", "denied") for day in (1, 1, 1, 2, 3)]
    assert told(watch(), days) == ["denied"] * 3


def copied(when: str, partition: str) -> dict[str, Any]:
    return entry(f"{when}T09:00:00.000Z", "hand_out", partition=partition, phase="intent")


def erased(when: str, **what: Any) -> dict[str, Any]:
    return entry(f"{when}T15:00:00.000Z", "erase", phase="intent", **what)


def quiet() -> Watch:
    rules = watch(ignore=["volume", "hour", "identity"])
    months(rules)
    return rules


def test_a_copy_of_what_is_erased_soon_after() -> None:
    assert told(quiet(), [copied("2026-03-12", "2026-01-05"), erased("2026-03-14", partition="2026-01-05")]) == [
        "export_before_erasure"
    ]
    several = erased("2026-03-14", partitions=["2026-01-04", "2026-01-05"])
    assert told(quiet(), [copied("2026-03-12", "2026-01-05"), several]) == ["export_before_erasure"]


def test_copies_of_other_nights_or_long_ago_are_none() -> None:
    assert told(quiet(), [copied("2026-03-12", "2026-01-05"), erased("2026-03-14", partition="2026-01-06")]) == []
    assert told(quiet(), [copied("2026-03-12", "2026-01-05"), erased("2026-03-20", partition="2026-01-05")]) == []
    assert told(quiet(), [erased("2026-03-12", partition="2026-01-05"), copied("2026-03-14", "2026-01-05")]) == []


def test_an_erasure_that_names_no_night_is_one_of_all() -> None:
    erasure = erased("2026-03-14", partition=None)
    assert told(quiet(), [copied("2026-03-12", "2026-01-05"), erasure]) == ["export_before_erasure"]


def test_the_daily_hand_out_is_routine() -> None:
    rules = quiet()
    routine = [copied(f"2026-03-{day}", f"2026-03-{day - 1}") for day in range(12, 27)]
    assert told(rules, routine) == []
    assert told(rules, [erased("2026-03-26", partitions=["2026-03-24", "2026-03-25"])]) == []


def test_outcomes_are_not_counted_again() -> None:
    outcome = entry("2026-03-12T03:00:00.000Z", "hand_out", phase="outcome", name="stranger", result="done", of=1)
    assert told(quiet(), [outcome]) == []


def test_a_checkpoint_that_could_not_be_anchored_is_told_once_a_day_and_cannot_be_ignored() -> None:
    rules = watch(ignore=list(RULES))
    failed = [entry(f"2026-01-0{day}T09:00:00.000Z", "anchor", result="failed", run="r") for day in (1, 1, 2)]
    assert told(rules, failed) == ["anchor"] * 2


def every_alert() -> Iterator[Alert]:
    trail = Trail(1, days=200)
    for rule in RULES:
        trail.plant(rule, day=150)
    yield from alerts(trail)


def test_an_alert_names_who_and_where_to_look_and_nothing_that_was_read() -> None:
    found = list(every_alert())
    assert len({alert.rule for alert in found}) == len(RULES)
    for alert in found:
        assert alert.identity in str(alert)
        assert str(alert.last) in str(alert)
        assert alert.first <= alert.last
        assert not {"predictions_restricted", "validated", "rows"} & set(str(alert).replace(",", " ").split())
        assert json.loads(json.dumps(alert.to_json()))["rule"] == alert.rule
