"""Dagster's SQLite storage without waiting for the disk at every event.

Dagster opens a connection per event and commits it: a night writes some 200 events in 700 commits. By SQLite's defaults
each commit waits for the disk, and each close of the last connection writes the log back and waits again; that is half
of a small night. With `synchronous = NORMAL` a commit survives a killed process but, until the next checkpoint, not a
power cut; the lake does survive it, and a rerun emits the lost events again from its manifests.
(https://www.sqlite.org/pragma.html#pragma_synchronous, https://www.sqlite.org/wal.html#ckpt)
"""

import sqlite3
from collections import OrderedDict
from typing import Any

KEPT_OPEN = 8
_kept: OrderedDict[str, sqlite3.Connection] = OrderedDict()


def hasten() -> None:
    """Apply to every SQLite connection that SQLAlchemy opens in this process; a second call does nothing."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _opened):
        event.listen(Engine, "connect", _opened)


def _opened(connection: Any, _: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.execute("PRAGMA synchronous = NORMAL")
    path = next(file for _, name, file in connection.execute("PRAGMA database_list") if name == "main")
    # Only a connection that has read the write-ahead log counts as one; a new file has none yet.
    if path and path not in _kept and connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        _keep(path)


def _keep(path: str) -> None:
    """Hold one more connection, so that closing the others is not closing the last one."""
    held = sqlite3.connect(path, check_same_thread=False)
    held.execute("PRAGMA schema_version").fetchone()
    _kept[path] = held
    if len(_kept) > KEPT_OPEN:
        _kept.popitem(last=False)[1].close()
