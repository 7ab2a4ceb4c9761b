"""Gives up what a training does not need, then becomes it: `-m kedge.training.confine RULES PROGRAM ARGUMENT...`.

The order matters: another user first, since that needs rights; then the rights of root; then, for ever, whatever a
set-user-id program could give back; then files, ports and signals; system calls last. What was planned and cannot be
done ends the process: nothing runs less confined than its model's manifest says.
"""

import ctypes
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from kedge.training import landlock, syscalls

_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 2, 38
_CAPABILITY_VERSION = 0x20080522
_IGNORE_MODES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: root may run a Python that belongs to somebody else."""


@dataclass(frozen=True)
class Rules:
    """What a process keeps.

    Attributes:
        landlock: version to ask for; 0: none.
        filtered: whether to refuse the system calls of `kedge.training.syscalls`.
        capabilities: whether to give up root's rights.
        user: id of the user and group to become; None: stays who it is.
        paths: path -> Landlock's rights below it.
        ports: TCP ports it may use.
    """

    landlock: int = 0
    filtered: bool = False
    capabilities: bool = False
    user: int | None = None
    paths: Mapping[str, int] | None = None
    ports: Sequence[int] = ()

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Self:
        content = json.loads(text)
        return cls(**content | {"ports": tuple(content["ports"])})


def apply(rules: Rules) -> None:
    """Keep only what the rules say.

    Raises:
        OSError: something could not be given up.
    """
    if rules.user is not None:
        _become(rules.user)
    if rules.capabilities:
        _give_up_capabilities()
    _control(_PR_SET_NO_NEW_PRIVS, 1)
    if rules.landlock:
        landlock.restrict(rules.landlock, rules.paths or {}, rules.ports)
    if rules.filtered:
        syscalls.refuse()


def _become(user: int) -> None:
    """Another user; the wish to end with the parent, which the kernel forgets at this, is renewed."""
    wish = ctypes.c_int(0)
    _control(_PR_GET_PDEATHSIG, ctypes.addressof(wish))
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _control(_PR_SET_PDEATHSIG, wish.value)
    unreachable = [path for path in (sys.executable, __file__) if not os.access(path, os.R_OK)]
    if unreachable:
        raise PermissionError(13, f"user {user} may not read {unreachable[0]}")


def _give_up_capabilities() -> None:
    """A root that may only what its user id may; with NO_NEW_PRIVS no program gives the rest back.

    Only what it has can be kept: the root of a container lacks most, and asking for more is refused.
    """
    head = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    held = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(head, held) != 0:
        raise OSError(ctypes.get_errno(), "capget")
    effective, permitted = held[0] & _IGNORE_MODES, held[1] & _IGNORE_MODES
    if libc.capset(head, (ctypes.c_uint32 * 6)(effective, permitted, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _control(option: int, argument: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def main() -> int:
    """Confine this process and execute the program."""
    try:
        apply(Rules.from_text(sys.argv[1]))
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the program that the launcher was given
    except OSError as error:
        sys.stderr.write(
            f"kedge: the training process: needs to be confined; got {error.strerror} ({Path(sys.argv[2]).name}). "
            "See docs/training.md, or set KEDGE_TRAINING_CONFINED=off.\n"
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
