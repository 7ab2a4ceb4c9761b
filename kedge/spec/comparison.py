"""Mistakes that show only when settings of different sections are laid side by side."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kedge.spec.coherence import DATES, TEXTS
from kedge.spec.columns import Column
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
    if "evaluation" not in broken:
        yield from _slice_mistakes(declaration, broken)
        yield from _holdout_mistakes(declaration, broken)
    if not broken & {"gates", "evaluation"}:
        yield from _gate_mistakes(declaration)


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
    return few and column.role is None and column.treatment not in ("drop", "token", "redact")


def _holdout_mistakes(declaration: "Declaration", broken: frozenset[str]) -> Iterator[Mistake]:
    unsure = any(name.startswith("columns.") for name in broken)
    if declaration.evaluation.by == "subject" and declaration.subject is None and not unsure:
        yield Mistake(
            at=("evaluation", "by"),
            need="a column with role: subject",
            got="none",
            remedy="Write by: blocks, or say whose data a row is.",
        )


def _gate_mistakes(declaration: "Declaration") -> Iterator[Mistake]:
    if "worst_slice_auc" in declaration.gates and not declaration.evaluation.slices:
        yield Mistake(
            at=("gates", "worst_slice_auc"),
            need="evaluation.slices",
            got="no slices",
            remedy="Declare slices: [<column>], or remove the gate.",
        )
    for metric, gate in declaration.gates.items():
        yield from gate.mistakes_for(metric)
