"""How often quiet access looks unusual, and how much has to be copied before it does.

    .venv/bin/python benchmarks/unusual.py [--histories N] [--json FILE]

Generated histories of two years each (`kedge.testing.accesses`): nightly runs, retrainings, two to eight analysts with
months' ends, late evenings, Sundays and holidays, daily hand-outs, erasures. Nobody does anything wrong, and nobody is
new. The rules are those of a declaration that says nothing. The first three months are left out: rules learn then.

Figures: `quiet_months_count` (months judged), `alerts_per_quarter_ratio` (alerts per pipeline and three months; bound:
1) and the same per rule, `<rule>_per_quarter_ratio`; `silent_quarters_share` (three months without any alert);
`hires_told_share` (new analysts who were reported, which is right); `<rule>_found_share` (planted incidents of the rule
that were found on their day), for volume by how many times the largest day of anybody was read in one day
(`volume_<n>x_found_share`); `entries_per_second_count` (of processor time), `state_bytes` (remembered between
two looks).
"""

import json
import time
from collections import Counter
from datetime import date, timedelta

from report import parser, report

from kedge.audit.alert import Alert
from kedge.audit.unusual import Watch
from kedge.spec.audit import RULES, Rule, Unusual
from kedge.testing.accesses import Trail

DAYS, WARM, QUARTER = 730, 91, 91
PLANTED = 40
DOSES = (1.0, 2.0, 3.0, 5.0)


def watch() -> Watch:
    return Watch(Unusual(), "Europe/Berlin", 60)


def alerts(trail: Trail, rules: Watch) -> list[Alert]:
    return [alert for number, entry in trail.entries() for alert in rules.look(number, entry)]


def quiet(histories: int) -> dict[str, float]:
    """Figures of histories in which nothing happens."""
    per_rule: Counter[str] = Counter()
    loud, entries, seconds, state = 0, 0, 0.0, 0
    quarters = (DAYS - WARM) // QUARTER
    for seed in range(histories):
        trail, rules = Trail(seed, days=DAYS), watch()
        lines = [json.dumps(entry).encode() for _, entry in trail.entries()]
        start, found = time.process_time(), []
        for number, line in enumerate(lines):
            found += rules.look(number, json.loads(line))
        seconds, entries = seconds + time.process_time() - start, entries + len(lines)
        state = max(state, len(json.dumps(rules.to_json())))
        first = trail.first + timedelta(days=WARM)
        days = [(date.fromisoformat(alert.day) - first).days for alert in found]
        told = [(day, alert.rule) for day, alert in zip(days, found, strict=True) if 0 <= day < quarters * QUARTER]
        per_rule.update(rule for _, rule in told)
        loud += len({day // QUARTER for day, _ in told})
    total = histories * quarters
    return {
        "quiet_months_count": 3 * total,
        "alerts_per_quarter_ratio": per_rule.total() / total,
        **{f"{rule}_per_quarter_ratio": per_rule[rule] / total for rule in RULES},
        "silent_quarters_share": 1 - loud / total,
        "entries_per_second_count": round(entries / seconds),
        "state_bytes": state,
    }


def found(rule: Rule, times: float = 5.0) -> float:
    """Share of planted incidents that are reported under their rule, with who did it, on their day."""
    seen = 0
    for seed in range(PLANTED):
        trail = Trail(1_000 + seed, days=220)
        planted = trail.plant(rule, 120 + 2 * seed, times)
        where = (rule, planted.identity, planted.day.isoformat())
        seen += where in {(alert.rule, alert.identity, alert.day) for alert in alerts(trail, watch())}
    return seen / PLANTED


def hires() -> float:
    """Share of new analysts that are reported as new."""
    told = expected = 0
    for seed in range(PLANTED // 4):
        trail = Trail(2_000 + seed, days=400, hires=True)
        new = {entry["actor"]["name"] for _, entry in trail.entries() if entry["actor"]["name"].startswith("hire")}
        told += len({alert.identity for alert in alerts(trail, watch()) if alert.rule == "identity"} & new)
        expected += len(new)
    return told / expected


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--histories", type=int, default=30)
    arguments = options.parse_args()
    figures = quiet(arguments.histories) | {"hires_told_share": hires()}
    figures |= {f"{rule}_found_share": found(rule) for rule in RULES if rule != "volume"}
    figures |= {f"volume_{times:g}x_found_share": found("volume", times) for times in DOSES}
    report("unusual", figures, arguments.json)


if __name__ == "__main__":
    main()
