"""Who does it: an authenticated person where a door asked for one, else the user of the operating system."""

import os
import pwd
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody who changes or reads data.

    Attributes:
        kind: `authenticated`: a door in front of kedge asked who it is; `os`: the user that the process runs as.
        name: login name; of an operating system's user without one its number.
        uid: of the process's user; None where another process did the asking.
    """

    kind: Literal["os", "authenticated"]
    name: str
    uid: int | None = None

    @classmethod
    def of_process(cls) -> "Actor":
        """The user this process runs as, told by the kernel: an environment variable would say what somebody likes."""
        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:  # a container's user need not have a name
            name = str(uid)
        return cls(kind="os", name=name, uid=uid)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "uid": self.uid}
