"""The asset `evaluation`: challenger, champion and baseline on the same held-out rows, and the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import polars as pl

from kedge.evaluation.baseline import Baseline
from kedge.evaluation.figures import Figures, lead
from kedge.evaluation.heldout import HeldOut, exposures, known, outcomes
from kedge.evaluation.metrics import Floats
from kedge.evaluation.official import TEST, Official
from kedge.evaluation.report import checks, shown
from kedge.evaluation.sets import Recent, recent
from kedge.evaluation.verdict import Facts, Judged, Verdict, judge
from kedge.evaluation.window import training_set, trusted_nights
from kedge.lake import ALL, PARTITION, RAW, Draft, Outcome, Version, produce, raw_ancestor
from kedge.outcome import Findings
from kedge.people import HELDOUT, PART, labels_of_nights, load_rows
from kedge.spec import Declaration
from kedge.workspace import Workspace

# Raised by hand whenever the same inputs would give other figures; a golden digest in the tests guards it.
CODE_VERSION = 1

Score = Callable[[Version, pl.DataFrame], Floats]
SETS = ("recent", "trusted")


def evaluate(
    ws: Workspace,
    declaration: Declaration,
    *,
    challenger: Version,
    champion: Version | None,
    score: Score,
    official: Official | None = None,
) -> Outcome:
    """Judge a challenger.

    *recent* are the held-out rows of the drift episode's nights, without an episode of the last seven, extended back
    as `kedge.evaluation.sets` says; *trusted* those of the champion's whole window, for the first champion of its own.

    Args:
        challenger, champion: versions of dataset `model`; champion None before the first promotion.
        score: gives (n,) scores of a model for rows as released, with their place, see `kedge.scoring.scorer`.
        official: the rows of `evaluation.test`; their figures are shown beside the others and decide nothing.

    Returns:
        the outcome for dataset `evaluation`: checks `gate_<metric>_<set>`, `not_worse_<set>` and `enough_rows_<set>`,
        none blocking, since a refusal is a result; facts `action`, `reason` and the challenger's figures; notes as in
        `_notes`. A challenger that is champion already keeps the evaluation that made it so.
    """
    dataset = ws.dataset(declaration.name, "evaluation")
    if champion is not None and champion.id == challenger.id:
        current = dataset.current(ALL)
        if current is not None and current.manifest.notes["challenger"] == challenger.id:
            return Outcome(current, written=False)
    trial = _Trial(ws, declaration, challenger, champion, score, official)
    test = {"test": official.version.id} if official else {}
    return produce(
        dataset,
        ALL,
        inputs={"challenger": challenger.id, "champion": champion.id if champion else "none"} | test,
        declared=declaration.part("evaluation"),
        code=CODE_VERSION,
        seed=declaration.training.seed,
        write=trial.write,
    )


@dataclass(frozen=True)
class _Trial:
    """One comparison."""

    ws: Workspace
    declaration: Declaration
    challenger: Version
    champion: Version | None
    score: Score
    official: Official | None

    def write(self, draft: Draft) -> Findings:
        figures = {"recent": self._figures(self._recent.nights, self._recent.enough), "trusted": self._trusted()}
        facts = self._facts(figures)
        verdict = judge(facts)
        every = figures | self._test()
        return Findings(
            checks=checks(figures, facts),
            facts=shown(every, verdict),
            notes=self._notes(every, verdict),
        )

    @cached_property
    def _set(self) -> Mapping[str, Any]:
        """Notes of the challenger's training set."""
        return training_set(self.ws, self.challenger).manifest.notes

    @cached_property
    def _trusted_nights(self) -> dict[str, str]:
        return trusted_nights(self.ws, self.challenger, self.champion)

    @cached_property
    def _rows(self) -> pl.DataFrame:
        """All rows of both windows with a known outcome and `_raw`, without the columns that nobody looks at."""
        nights = {**self._trusted_nights, **self._set["nights"]}
        rows = load_rows(self.ws, self.declaration, nights, columns=self._columns, labels=self._labels(nights))
        dataset = self.ws.dataset(self.declaration.name, "anonymized")
        raw = {night: raw_ancestor(dataset.version(night, version)) for night, version in nights.items()}
        return rows.filter(known(self.declaration)).with_columns(pl.col(PARTITION).replace_strict(raw).alias(RAW))

    def _labels(self, nights: Mapping[str, str]) -> dict[str, str]:
        """Outcomes that arrived later: those that the challenger learned from, else the champion's, else today's."""
        models = [model for model in (self.challenger, self.champion) if model is not None]
        named = [training_set(self.ws, model).manifest.notes.get("labels", {}) for model in models]
        return labels_of_nights(self.ws, self.declaration, nights, *named)

    @property
    def _columns(self) -> list[str]:
        declaration = self.declaration
        models = [model for model in (self.challenger, self.champion) if model is not None]
        seen = {name for model in models for name in model.manifest.notes["features"]}
        seen |= {model.manifest.notes.get("exposure") for model in models}
        roles = {declaration.target, declaration.subject, declaration.exposure}
        wanted = {*declaration.features, *declaration.evaluation.slices, *roles, *seen}
        return [name for name in (*declaration.released, *declaration.late) if name in wanted]

    @cached_property
    def _held(self) -> HeldOut:
        return HeldOut(self._rows.filter(pl.col(PART) == HELDOUT), self.declaration)

    @cached_property
    def _training(self) -> pl.DataFrame:
        """Rows that trained the challenger."""
        own = pl.col(PARTITION).is_in(list(self._set["nights"]))
        return self._rows.filter(own & (pl.col(PART) != HELDOUT))

    @cached_property
    def _recent(self) -> Recent:
        return recent(self._held.on(list(self._set["nights"])).counts(), self._set["episode"], self.declaration.task)

    @cached_property
    def _baseline(self) -> Baseline:
        return self._fit(self._training)

    def _fit(self, rows: pl.DataFrame) -> Baseline:
        kinds = {name: self.declaration.feature_kind(name) for name in self.declaration.features}
        declaration = self.declaration
        exposure = exposures(rows, declaration)
        return Baseline.fit(rows, outcomes(rows, declaration), kinds, task=declaration.task, exposure=exposure)

    @cached_property
    def _scores(self) -> dict[str, Floats]:
        """Model -> scores of all held-out rows: each model scores every row once."""
        frame = self._held.frame
        champion = {} if self.champion is None else {"champion": self.score(self.champion, frame)}
        baseline = self._baseline.score(frame, self._held.exposure)
        return {"challenger": self.score(self.challenger, frame), **champion, "baseline": baseline}

    def _figures(self, nights: Sequence[str], enough: bool) -> Figures:
        inside = self._held.frame[PARTITION].is_in(list(nights)).to_numpy()
        scores = {name: p[inside] for name, p in self._scores.items()}
        return Figures.measure(self._held.on(nights), scores, enough=enough, seed=self.declaration.training.seed)

    def _trusted(self) -> Figures:
        nights = list(self._trusted_nights)
        return self._figures(nights, recent(self._held.on(nights).counts(), (), self.declaration.task).enough)

    def _test(self) -> dict[str, Figures]:
        if self.official is None:
            return {}
        models = {"challenger": self.challenger} | ({"champion": self.champion} if self.champion else {})
        fitted = self._baseline
        return {
            TEST: self.official.figures(
                self.declaration, models, lambda held: fitted.score(held.frame, held.exposure), self._columns
            )
        }

    def _facts(self, figures: Mapping[str, Figures]) -> Facts:
        gates = tuple(
            Judged(
                name=f"gate_{name}_{rows}", rows=rows, metric=name, op=gate.op, bound=gate.bound, value=f.value(name)
            )
            for name, gate in self.declaration.gates.items()
            for rows, f in figures.items()
        )
        against: Literal["champion", "baseline"] = "champion" if self.champion else "baseline"
        compared = SETS if self.champion else ("trusted",)  # the whole window: most rows, least noise
        gains = {rows: figures[rows].gain(against) for rows in compared}
        declaration = self.declaration
        return Facts(
            gates=gates, against=against, gains=gains, margin=declaration.champion.margin, task=declaration.task
        )

    def _time_ordered(self) -> dict[str, Any]:
        """Figures on recent nights of models that saw no night of that time: nothing can have leaked from them.

        The baseline fitted anew on the nights before, and the champion where the nights came after its window.
        """
        nights, seed = self._recent.nights, self.declaration.training.seed
        before = self._training.filter(pl.col(PARTITION) < nights[0]) if nights else self._training.clear()
        held = self._held.on(nights)
        found = (
            {"baseline": lead(held, self._fit(before).score(held.frame, held.exposure), seed)} if len(before) else {}
        )
        if self.champion is None:
            return found
        last = training_set(self.ws, self.champion).manifest.notes["last"]
        after = self._held.on([night for night in nights if night > last])
        inside = self._held.frame[PARTITION].is_in(after.frame[PARTITION].unique().to_list()).to_numpy()
        return found | {"champion": lead(after, self._scores["champion"][inside], seed)}

    def _notes(self, figures: Mapping[str, Figures], verdict: Verdict) -> dict[str, Any]:
        return {
            "challenger": self.challenger.id,
            "champion": self.champion.id if self.champion else None,
            "sets": {rows: f.to_json() for rows, f in figures.items()},
            "time_ordered": self._time_ordered(),
            "verdict": verdict.to_json(),
            "action": verdict.action,
            "reason": verdict.reason,
            "cause": self._set["cause"],
            "trigger": self._set["trigger"],
            "nights": sorted(self._set["nights"]),
            "last": self._set["last"],
        }
