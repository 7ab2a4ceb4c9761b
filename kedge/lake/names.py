"""What may stand in the path of a stored version; everything else is refused and never quoted."""

import re
from datetime import date
from typing import Literal, get_args

from kedge.errors import Terminal
from kedge.spec.names import check_name

Zone = Literal["restricted", "open"]
"""Restricted: identifies people. Open: no direct identifiers. Each has its own key-encryption key."""

ALL = "all"
"""The partition of a dataset that has none."""

ROWS = "rows.parquet"
MANIFEST = "manifest.json"
KEYS = "keys.json"
KEYS_FORMAT = 1

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_VERSION = re.compile(r"v[0-9a-f]{32}")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9]{1,16}){1,3}")


def check_zone(zone: str) -> str:
    """Return `zone` if there is one of that name."""
    return _checked("zone", zone, zone in get_args(Zone), "restricted or open")


def check_partition(partition: str) -> str:
    """Return `partition` if it is a date like 2026-01-31, or `all`."""
    return _checked("partition", partition, is_partition(partition), "a date like 2026-01-31, or all")


def check_version(version: str) -> str:
    """Return `version` if it is a version id."""
    return _checked("version", version, bool(_VERSION.fullmatch(version)), "v and 32 hexadecimal digits")


def check_file(name: str) -> str:
    """Return `name` if a stage may store a file under it."""
    fits = bool(_FILE.fullmatch(name)) and name not in (MANIFEST, KEYS)
    return _checked("file", name, fits, "a plain file name with a suffix, not manifest.json or keys.json")


def is_version(name: str) -> bool:
    """Whether a folder's name is a version id."""
    return bool(_VERSION.fullmatch(name))


def is_partition(name: str) -> bool:
    """Whether a folder's name is a partition key."""
    if name == ALL:
        return True
    try:
        return bool(_DATE.fullmatch(name) and date.fromisoformat(name))
    except ValueError:
        return False


def check_dataset(pipeline: str, name: str) -> tuple[str, str]:
    """Return both names if they are on the allow-list."""
    return check_name("pipeline", pipeline), check_name("dataset", name)


def _checked(kind: str, name: str, fits: bool, need: str) -> str:
    if fits:
        return name
    raise Terminal(kind, need=need, got=f"{len(name)} characters that do not fit", remedy="Correct the name.")
