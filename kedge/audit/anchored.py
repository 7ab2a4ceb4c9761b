"""When checkpoints are anchored: at the end of every stage, and before it where the declaration asks for that."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedge.audit.anchor import anchor, open_anchor, refuse_inside
from kedge.audit.trail import Trail
from kedge.errors import KedgeError, Tampered
from kedge.spec import Declaration

ACTION = "anchor"
"""An entry that says that a checkpoint could not be anchored; success leaves none, for it would need one itself."""


@contextmanager
def anchored(trail: Trail, declaration: Declaration, home: Path) -> Iterator[None]:
    """Stand around a stage: what it wrote to the log is anchored when it ends, well or badly.

    Raises:
        Tampered: the anchor holds another history of this log.
        Transient, Terminal: the anchor does not answer or refuses, and the declaration requires it.
    """
    if declaration.audit.anchor_required:
        keep(trail, declaration, home)
    try:
        yield
    except BaseException:
        keep(trail, declaration, home, required=False)  # what went wrong in the stage is worth more to whoever waits
        raise
    keep(trail, declaration, home)


def keep(trail: Trail, declaration: Declaration, home: Path, *, required: bool | None = None) -> bool:
    """Anchor what is in the log of the pipeline now; whether it was (also False without an anchor).

    Args:
        required: whether an anchor that does not answer is an error; by default as declared. It is logged anyway.

    Raises:
        as `anchored`; a folder inside `KEDGE_HOME` is refused in any case.
    """
    url, required = declaration.audit.anchor, declaration.audit.anchor_required if required is None else required
    if url is None:
        return False
    refuse_inside(url, home)
    log = trail.log(declaration.name)
    try:
        anchor(log, open_anchor(url))
    except Tampered:
        raise
    except KedgeError as error:
        trail.event(declaration.name, ACTION, result="failed", what=type(error).__name__)
        if required:
            raise
        return False
    return True
