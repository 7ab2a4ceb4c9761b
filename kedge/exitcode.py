"""Exit codes of `kedge`: an operator's script sees what is wrong without reading the message."""

from collections.abc import Mapping
from types import MappingProxyType

from kedge.errors import KedgeError, Part

OTHER = 2
"""Every error of kedge that is not about stored bytes or their keys."""

CODES: Mapping[Part, int] = MappingProxyType(
    {
        "data": 20,
        "manifest": 21,
        "keys": 22,
        "pointer": 23,
        "log": 24,
        "checkpoint": 25,
        "ring": 26,
        "model": 27,
        "decision": 28,
        "secrets": 29,
        "lake": 30,
        "anchor": 31,
        "key": 32,
    }
)


def exit_code(error: KedgeError) -> int:
    """The code that `kedge` leaves with."""
    return OTHER if error.part is None else CODES[error.part]
