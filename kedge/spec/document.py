"""A `defs.yaml` as data, with the line of every setting; mistakes of the YAML itself are collected, not raised.

The scalar rules are those of YAML 1.2, as most people expect them: only true and false are truth values (`on:` and
`yes` stay texts), a date stays a text until a setting asks for one, and `010` is no octal number.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

Path = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's surprises."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own interface


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


_QUOTE = "Quote a text; write a truth value as true or false, and a number in plain digits."
_TIMESTAMP = "tag:yaml.org,2002:timestamp"  # no dispute: a date stays a text for Dagster's reader too


def _disputed(node: yaml.ScalarNode) -> bool:
    """Whether a reader by the rules of YAML 1.1, such as Dagster's, takes the scalar for something else."""
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, node.value, (True, False))  # type: ignore[no-untyped-call]
    return tag not in (node.tag, _TIMESTAMP)


class Document:
    """One YAML document.

    Attributes:
        data: its content as Python values.
        flaws: `(path, line, need, got, remedy)` of each mistake of the YAML itself, such as a key that is there twice.
    """

    def __init__(self, text: str) -> None:
        self.data: Any = None
        self.flaws: list[tuple[Path, int, str, str, str]] = []
        self._lines: dict[Path, int] = {}
        self._endless = False  # an anchor contains itself
        try:
            self._read(text)
        except yaml.YAMLError as error:
            self.data = None
            mark = getattr(error, "problem_mark", None)
            found = getattr(error, "problem", None) or "something else"
            self.flaws.append(((), mark.line + 1 if mark else 1, "one YAML document", found, "Correct the line."))

    def line(self, path: Path) -> int:
        """Line (from 1) of the setting at `path`, or of the nearest one around it."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def _read(self, text: str) -> None:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                self._visit(node, (), frozenset())
                self.data = None if self._endless else loader.construct_document(node)
        finally:
            loader.dispose()

    def _visit(self, node: yaml.Node, path: Path, around: frozenset[int]) -> None:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode) and node.style is None and _disputed(node):
            self._flaw(path, node, "quotes around it", f"{node.value!r}, on which readers of YAML disagree", _QUOTE)
        if id(node) in around:
            self._endless = True
            self._flaw(path, node, "a tree", "an anchor that contains itself", "Write the value out.")
            return
        for key, child in self._children(node, path):
            self._visit(child, (*path, key), around | {id(node)})

    def _children(self, node: yaml.Node, path: Path) -> Iterator[tuple[str | int, yaml.Node]]:
        if isinstance(node, yaml.SequenceNode):
            yield from enumerate(node.value)
        if not isinstance(node, yaml.MappingNode):
            return
        for key, child in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                self._flaw(
                    path, key, "a text as key", "another kind of key", "Write the key as a plain text or in quotes."
                )
            elif (*path, key.value) in self._lines:
                first = self._lines[(*path, key.value)]
                need, remedy = "each key once", "Remove one of the two."
                self._flaw((*path, key.value), key, need, f"it again (first in line {first})", remedy)
            else:
                self._lines[(*path, key.value)] = key.start_mark.line + 1
                yield key.value, child

    def _flaw(self, path: Path, node: yaml.Node, need: str, got: str, remedy: str) -> None:
        self.flaws.append((path, node.start_mark.line + 1, need, got, remedy))
