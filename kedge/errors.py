"""Errors that say what to do next.

Every error names the setting (or file), what was needed, what was found and the remedy. None ever holds a
personal value or a secret: `got` describes (a type, a count, a share), it never quotes data.
"""

from typing import Any, Literal, Self, TypeAlias

Part: TypeAlias = Literal[
    "data", "manifest", "keys", "pointer", "log", "checkpoint",
    "ring", "model", "decision", "secrets", "lake", "anchor", "key",
]  # fmt: skip
"""Where stored bytes can be wrong; `key`: the bytes may be right and the key is not theirs."""


class KedgeError(Exception):
    """Base of all errors kedge raises on purpose.

    Args:
        setting: the key, file or object that is wrong, e.g. `columns.zip.privacy` or `inbox/2026-01-01.csv`.
        need: what was needed there.
        got: what was found instead; a description, never a personal value.
        remedy: what the reader can do now.

    Attributes:
        part: of what is stored, where the error is about that; `kedge` leaves with a code of its own for each.
    """

    part: Part | None = None

    def __init__(self, setting: str, *, need: str, got: str, remedy: str) -> None:
        self.setting, self.need, self.got, self.remedy = setting, need, got, remedy
        super().__init__(f"{setting}: needs {need}; got {got}. {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.setting, self.need, self.got, self.remedy), {"part": self.part}

    def of(self, part: Part) -> Self:
        """The same error about another part: the caller knows what the bytes belong to."""
        self.part = part
        return self


def _rebuild(cls: type[KedgeError], setting: str, need: str, got: str, remedy: str) -> KedgeError:
    return cls(setting, need=need, got=got, remedy=remedy)


class Terminal(KedgeError):
    """Trying again changes nothing: somebody has to change a file, a setting or the data."""


class Transient(KedgeError):
    """Trying again later may succeed: a service is down, a file is still being written."""


class Conflict(Transient):
    """Two writers wanted the same place; the other one won and is named in `got`."""


class Blocked(Terminal):
    """A blocking check failed: the data stays where it is and nothing downstream may use it."""


class Tampered(Terminal):
    """Stored bytes are not what was written: altered, swapped, truncated, replaced by plaintext, or put back.

    Args:
        part: what the bytes are part of.
    """

    def __init__(self, setting: str, *, need: str, got: str, remedy: str, part: Part = "data") -> None:
        super().__init__(setting, need=need, got=got, remedy=remedy)
        self.part = part
