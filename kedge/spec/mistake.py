"""One mistake in a declaration: what is needed, what is there, what to do; and how pydantic's errors become one."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import ErrorDetails, InitErrorDetails

_LONGEST_QUOTE = 60

_NEEDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "finite_number": "a finite number",
    "model_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


class Flaw(ValueError):
    """What a validator raises; pydantic adds where.

    A plain ValueError, for Dagster rebuilds pydantic's errors from their type to add file and line, and can do that
    for pydantic's own error types only.
    """

    def __init__(self, need: str, got: str, remedy: str) -> None:
        self.need, self.got, self.remedy = need, got, remedy
        super().__init__(f"needs {need}; got {got}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        return Flaw, (self.need, self.got, self.remedy)

    def at(self, path: tuple[str | int, ...]) -> InitErrorDetails:
        """The error as pydantic collects it; the value itself is left behind."""
        return InitErrorDetails(type="value_error", loc=path, input=None, ctx={"error": self})


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A mistake found by comparing settings with each other; `at` is the path below the model that finds it."""

    at: tuple[str | int, ...] = ()
    need: str
    got: str
    remedy: str

    def detail(self) -> InitErrorDetails:
        """The error as pydantic collects it."""
        return Flaw(self.need, self.got, self.remedy).at(self.at)


def not_supported(got: str, default: str) -> Flaw:
    """The error for a key or value that a later version will know."""
    return Flaw(f"{default} (anything else is not supported yet)", got, "Remove it, or wait for the release.")


def describe(value: Any) -> str:
    """A setting as found, in a few words: short scalars are quoted, the rest is counted."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"{value!r}" if len(value) <= _LONGEST_QUOTE else f"a text of {len(value)} characters"
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return str(value)


def kind_of(value: Any) -> str:
    """Like `describe`, but never the value: for settings that may hold a secret."""
    if isinstance(value, str):
        return "a text"
    return describe(value) if isinstance(value, dict | list | tuple | bool) or value is None else "a number"


@dataclass(frozen=True)
class Vocabulary:
    """What a model knows about its own settings, to word an error: names and what each one means."""

    settings: dict[str, str] = field(default_factory=dict)

    def detail(self, error: ErrorDetails) -> InitErrorDetails:
        """pydantic's error, in kedge's words, at the same place."""
        flaw = error.get("ctx", {}).get("error")
        return (flaw if isinstance(flaw, Flaw) else Flaw(*self._words(error))).at(error["loc"])

    def _words(self, error: ErrorDetails) -> tuple[str, str, str]:
        kind, loc, found = error["type"], error["loc"], error["input"]
        meaning = self.settings.get(str(loc[0]), "") if loc else ""
        if kind == "missing":
            return "this setting", "nothing", f"Add it: {meaning}" if meaning else "Add it."
        if kind == "extra_forbidden":
            return f"one of {', '.join(self.settings)}", f"{loc[-1]!r}", _did_you_mean(str(loc[-1]), self.settings)
        if kind == "literal_error":
            known = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            remedy = _did_you_mean(found, known) if isinstance(found, str) else _hint(found, meaning)
            return f"one of {', '.join(known)}", describe(found), remedy
        if kind in _BOUNDS:
            key, words = _BOUNDS[kind]
            return f"{words} {error['ctx'][key]}", describe(found), meaning or "Change it."
        if kind in _NEEDS:
            return _NEEDS[kind], describe(found), _hint(found, meaning)
        return error["msg"], describe(found), meaning or "Change it."


def _hint(found: Any, meaning: str) -> str:
    if isinstance(found, bool):
        return "Put it in quotes if a text is meant: YAML reads true and false as truth values."
    if isinstance(found, int | float):
        return "Put it in quotes if a text is meant."
    return meaning or "Change it."


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close: Sequence[str] = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else "Take one of them, or remove it."
