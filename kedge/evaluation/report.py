"""An evaluation as checks and facts that people read."""

from collections.abc import Mapping

import numpy as np

from kedge.evaluation.figures import Figures
from kedge.evaluation.verdict import Facts, Verdict, not_worse
from kedge.outcome import Check, Fact


def checks(figures: Mapping[str, Figures], facts: Facts) -> tuple[Check, ...]:
    """One check per gate and set, per comparison and per set's size; none blocks, since a refusal is a result."""
    return (*_gates(facts), *_comparisons(figures, facts), *_enough(figures))


def _gates(facts: Facts) -> list[Check]:
    return [
        Check(
            name=gate.name,
            passed=gate.passed,
            blocking=False,
            facts={"value": gate.value if np.isfinite(gate.value) else None, "bound": gate.bound},
            description=str(gate),
        )
        for gate in facts.gates
    ]


def _comparisons(figures: Mapping[str, Figures], facts: Facts) -> list[Check]:
    return [_comparison(rows, found, facts) for rows, found in figures.items()]


def _comparison(rows: str, figures: Figures, facts: Facts) -> Check:
    gain, decides = figures.gain(facts.against), rows in facts.gains
    said = f"{facts.measure} on {rows} minus the {facts.against}'s: the lower 95 % bound is above {-facts.margin:g}"
    return Check(
        name=f"not_worse_{rows}",
        passed=not_worse(gain, facts.margin),
        blocking=False,
        facts={**gain.to_json(), "margin": facts.margin, "against": facts.against, "decides": decides},
        description=f"{said}." if decides else f"{said}; shown, not decisive for the first champion.",
    )


def _enough(figures: Mapping[str, Figures]) -> list[Check]:
    return [
        Check(
            name=f"enough_rows_{rows}",
            passed=f.enough,
            blocking=False,
            facts={"rows": f.rows, "people": f.people},
            description=f"The {rows} nights hold enough held-out rows and outcomes to judge on.",
        )
        for rows, f in figures.items()
    ]


def shown(figures: Mapping[str, Figures], verdict: Verdict) -> dict[str, Fact]:
    """Flat facts: the verdict and every model's leading figure."""
    facts: dict[str, Fact] = {"action": verdict.action, "reason": verdict.reason}
    for rows, f in figures.items():
        facts[f"{rows}_rows"] = f.rows
        for name, found in f.models.items():
            facts[f"{rows}_{f.lead}_{name}"] = found.interval(f.lead).to_json()["value"]
    return facts
