"""Read declarations from their files, and say where each mistake is."""

import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import ValidationError

from kedge.errors import Terminal
from kedge.spec.declaration import Declaration
from kedge.spec.document import Document, Path
from kedge.spec.mistake import Flaw
from kedge.spec.names import NAME, NAME_NEED

FILE = "defs.yaml"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One mistake: the file, the line (from 1), the setting, what it needs, what is there, what to do."""

    file: str
    line: int
    setting: str
    need: str
    got: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.setting}: needs {self.need}; got {self.got}. {self.remedy}"


class SpecError(Terminal):
    """All mistakes of one or more declarations; one line each.

    Attributes:
        problems: the mistakes, in the order of files and lines.
    """

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.setting)))
        files = ", ".join(dict.fromkeys(problem.file for problem in self.problems))
        remedy = "Correct every line named."
        super().__init__(files, need="a declaration without mistakes", got=f"{len(problems)}", remedy=remedy)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))

    def __reduce__(self) -> tuple[object, ...]:
        return SpecError, (self.problems,)


def load(path: pathlib.Path) -> Declaration:
    """The declaration in `<name>/defs.yaml`; the pipeline is named after the folder.

    Raises:
        SpecError: every mistake at once, each with file, line, setting, need, got and remedy.
    """
    file = _shown(path)
    try:
        document = Document(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        got = "none" if isinstance(error, FileNotFoundError) else type(error).__name__
        raise SpecError((_problem(file, 1, FILE, "a readable UTF-8 file", got, "Write one."),)) from None
    problems = [_problem(file, line, _setting(at), *words) for at, line, *words in document.flaws]
    name = path.absolute().parent.name
    if not NAME.fullmatch(name):
        problems.append(_problem(file, 1, "the folder's name", NAME_NEED, repr(name), "Rename the folder."))
    if document.data is not None or not problems:
        problems += [_problem(file, document.line(at), _setting(at), *words) for at, *words in _mistakes(document)]
    if problems:
        raise SpecError(tuple(problems))
    return Declaration.named(name, document.data["attributes"])


def load_all(folder: pathlib.Path) -> dict[str, Declaration]:
    """All declarations `<folder>/<name>/defs.yaml`, by name; empty if there are none.

    Raises:
        SpecError: the mistakes of all of them.
    """
    found: dict[str, Declaration] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob(f"*/{FILE}")):
        try:
            found[path.parent.name] = load(path)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(tuple(problems))
    return found


def _mistakes(document: Document) -> Iterator[tuple[Path, str, str, str]]:
    """Path, need, got and remedy of every mistake but those of the YAML itself."""
    data = document.data
    if not isinstance(data, dict):
        yield (), "a mapping with type and attributes", "something else", "See docs/declaration.md."
        return
    if not isinstance(data.get("type"), str):
        yield ("type",), "the component's name", "none", "Write type: pipelines.component.TrainingPipeline"
    for key in sorted(map(str, data.keys() - {"type", "attributes"})):
        yield (key,), "only type and attributes at the top", repr(key), "Move it under attributes, or remove it."
    try:
        Declaration.model_validate(data.get("attributes"))
    except ValidationError as failure:
        for error in failure.errors(include_url=False, include_input=False):
            at = tuple(part for part in error["loc"] if part != "[key]")
            flaw: Flaw = error["ctx"]["error"]
            yield ("attributes", *at), flaw.need, flaw.got, flaw.remedy


def _problem(file: str, line: int, setting: str, need: str, got: str, remedy: str) -> Problem:
    return Problem(file=file, line=line, setting=setting, need=need, got=got, remedy=remedy)


def _setting(at: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return text.removeprefix(".").removeprefix("attributes.") or "attributes"


def _shown(path: pathlib.Path) -> str:
    absolute, here = path.absolute(), pathlib.Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else path)
