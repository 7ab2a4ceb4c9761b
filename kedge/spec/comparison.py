"""Mistakes that show only when settings of different sections are laid side by side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kedge.spec import lag
from kedge.spec.coherence import DATES, TEXTS
from kedge.spec.columns import Column
from kedge.spec.gates import METRICS
from kedge.spec.labels import LABELS
from kedge.spec.labels import mistakes as label_mistakes
from kedge.spec.mistake import Mistake
from kedge.spec.names import looks_like
from kedge.spec.parts import is_feature

if TYPE_CHECKING:
    from kedge.spec.declaration import Declaration

_PERSONAL_FORMATS = {
    "email": "an e-mail address",
    "phone": "a phone number",
    "iban": "an account number",
    "card": "a payment card",
    "ip": "a network address",
}


def mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    """All such mistakes; settings named in `broken` (`columns.<name>` for a column) are not judged again."""
    if "columns" in broken:
        return
    # a broken column may be the one that is looked for
    if not any(name.startswith("columns.") for name in broken):
        yield from _role_mistakes(declaration)
    for name, column in declaration.columns.items():
        yield from _personal_mistakes(name, column)
    if "source" not in broken:
        yield from _calendar_mistakes(declaration, broken)
    yield from label_mistakes(declaration, broken)
    if "evaluation" not in broken and not any(name.startswith("columns.") for name in broken):
        yield from lag.mistakes(declaration)
    if "evaluation" not in broken:
        yield from _slice_mistakes(declaration, broken)
        yield from _holdout_mistakes(declaration, broken)
        yield from _test_mistakes(declaration, broken)
    if not broken & {"gates", "evaluation"}:
        yield from _gate_mistakes(declaration, broken)


def _role_mistakes(declaration: "Declaration") -> Iterator[Mistake]:
    columns = declaration.columns
    targets = [name for name, column in columns.items() if column.role == "target"]
    subjects = [name for name, column in columns.items() if column.role == "subject"]
    if len(targets) != 1:
        yield Mistake(
            at=("columns", *targets[1:2]),
            need="exactly one column with role: target",
            got=", ".join(targets) or "none",
            remedy="Give the role to the column that the model predicts.",
        )
    if len(subjects) > 1:
        yield Mistake(
            at=("columns", subjects[1]),
            need="at most one column with role: subject",
            got=", ".join(subjects),
            remedy="Keep the role where it says whose data a row is.",
        )
    exposures = [name for name, column in columns.items() if column.role == "exposure"]
    if len(exposures) > 1:
        yield Mistake(
            at=("columns", exposures[1]),
            need="at most one column with role: exposure",
            got=", ".join(exposures),
            remedy="Keep the role where it says for how long a row was at risk.",
        )
    if exposures and len(targets) == 1 and declaration.task != "count":
        yield Mistake(
            at=("columns", exposures[0]),
            need="a count target (type: integer, min: 0), which is expected in proportion to the exposure",
            got=f"a target of type {columns[targets[0]].type}",
            remedy="Remove role: exposure; the column is then a feature.",
        )
    if not any(is_feature(column) for column in columns.values() if column.treatment != "drop"):
        yield Mistake(
            at=("columns",),
            need="at least one feature (a released column without a role, not token, redact or protected)",
            got="none",
            remedy="Declare one, or release one that is dropped today.",
        )


def _personal_mistakes(name: str, column: Column) -> Iterator[Mistake]:
    if column.privacy is not None or column.role is not None:
        return
    seen = looks_like(name)
    # a column whose values are listed holds none but these
    if column.type in TEXTS and column.values is None:
        if column.format in _PERSONAL_FORMATS:
            yield _decide(name, f"the format of {_PERSONAL_FORMATS[column.format]}")
        elif seen and (seen[1] or not column.quasi):
            yield _decide(name, f"a name that points to {seen[0]}")
    elif column.type in DATES and seen and not seen[1] and not column.quasi:
        yield Mistake(
            at=("columns", name),
            need="a decision about privacy",
            got=f"a name that points to {seen[0]}, and none declared",
            remedy="Declare privacy: {bins: 10y} or drop, or quasi: true to release it where enough people share it.",
        )


def _decide(name: str, seen: str) -> Mistake:
    return Mistake(
        at=("columns", name),
        need="a decision about privacy, for it looks personal",
        got=f"{seen}, and no privacy declared",
        remedy="Declare privacy: drop if the model can do without it, token to join on it, redact for free text, "
        "{prefix: n} for codes; if it holds nothing personal, type: category with its values.",
    )


def _calendar_mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    name = declaration.source.date_column
    column = declaration.columns.get(name or "")
    if name is None or f"columns.{name}" in broken or (column and column.type in DATES and column.from_ is None):
        return
    yield Mistake(
        at=("source", "date_column"),
        need="a column of the delivery of type date or datetime",
        got=f"{name!r}, which is none" if column else "one that is not declared",
        remedy="Declare the column with that type, or take another.",
    )


def _slice_mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    for position, name in enumerate(declaration.evaluation.slices):
        column = declaration.columns.get(name)
        if f"columns.{name}" in broken or (column and _can_slice(column)):
            continue
        yield Mistake(
            at=("evaluation", "slices", position),
            need="a released column of few values (category, bool, string, bins or prefix) without a role",
            got=f"{name!r}, which is none" if column else f"{name!r}, which is not declared",
            remedy="Take one of the columns, or remove it.",
        )


def _can_slice(column: Column) -> bool:
    few = column.type in TEXTS | {"bool"} or column.treatment == "bins"
    there = column.role is None and column.from_ != LABELS
    return few and there and column.treatment not in ("drop", "token", "redact")


def _holdout_mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    unsure = any(name.startswith("columns.") for name in broken)
    if declaration.evaluation.by == "subject" and declaration.subject is None and not unsure:
        yield Mistake(
            at=("evaluation", "by"),
            need="a column with role: subject",
            got="none",
            remedy="Write by: blocks, or say whose data a row is.",
        )


def _test_mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    test = declaration.evaluation.test
    if test is not None and "source" not in broken and test == declaration.source.files:
        remedy = "Name the file whose rows are to be kept out of every training."
        yield Mistake(at=("evaluation", "test"), need="a file apart from source.files", got="the same", remedy=remedy)


def _gate_mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    # the target's type says which metrics there are, and it may be the column that is broken
    unsure = any(name.startswith("columns.") for name in broken)
    targets = [] if unsure else [column for column in declaration.columns.values() if column.role == "target"]
    for metric, gate in declaration.gates.items():
        if targets and metric not in METRICS[declaration.task]:
            yield Mistake(
                at=("gates", metric),
                need=f"a metric of a {declaration.task} target: {', '.join(METRICS[declaration.task])}",
                got=metric,
                remedy=f"Take one of them; models are compared by {declaration.lead}.",
            )
        elif metric.startswith("worst_slice_") and not declaration.evaluation.slices:
            yield Mistake(
                at=("gates", metric),
                need="evaluation.slices",
                got="no slices",
                remedy="Declare slices: [<column>], or remove the gate.",
            )
        yield from gate.mistakes_for(metric)
