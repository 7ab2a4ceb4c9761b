"""From a template of file names to the files there are: `{date}` is a day, `*` in the last part any text.

Standard library only: sensors call it.
"""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

DATE = "{date}"
ARCHIVE = "archive"
_COMPANIONS = (".manifest", ".done")
_DAY = "([0-9]{4}-[0-9]{2}-[0-9]{2})"


def holds_several(template: str) -> bool:
    """Whether the files of one delivery may be many."""
    return "*" in template


def by_day(base: Path, template: str) -> Iterator[tuple[str, list[Path]]]:
    """Days (ISO) with the files of each in order of name; days in order. Without `*` a file need not be there."""
    parts = (base / template).parts
    place = next((n for n, part in enumerate(parts) if DATE in part), None)
    if place is None:
        return
    folder, rest = Path(*parts[:place]), Path(*parts[place + 1 :])
    if place < len(parts) - 1:
        for day, (found,) in _days(folder, parts[place]):
            yield day, in_folder(found / rest.parent, rest.name)
    else:
        yield from _days(folder, parts[place])


def of_day(base: Path, template: str, day: str) -> list[Path]:
    """Files of one day (or of a template without `{date}`) in order of name; without `*` the one that is expected."""
    path = base / template.replace(DATE, day)
    return in_folder(path.parent, path.name)


def in_folder(folder: Path, name: str) -> list[Path]:
    """Files of `folder` whose name matches, in order of name; without `*` the one file, there or not.

    Manifests and `.done` files, hidden files and the archive are nobody's delivery.
    """
    if not holds_several(name):
        return [folder / name]
    pattern = _pattern(name)
    return [path for path in _entries(folder) if pattern.fullmatch(path.name) and _may_be_delivered(path, name)]


def _days(folder: Path, name: str) -> list[tuple[str, list[Path]]]:
    pattern, found = _pattern(name), dict[str, list[Path]]()
    for path in _entries(folder):
        match = pattern.fullmatch(path.name)
        if match and _is_date(match[1]) and _may_be_delivered(path, name):
            found.setdefault(match[1], []).append(path)
    return sorted(found.items())


def _may_be_delivered(path: Path, name: str) -> bool:
    if not holds_several(name):
        return True
    return not path.name.startswith(".") and not path.name.endswith(_COMPANIONS) and path.name != ARCHIVE


def _pattern(name: str) -> re.Pattern[str]:
    text = re.escape(name).replace(re.escape(DATE), _DAY)
    return re.compile(text.replace(re.escape("*"), ".*"), re.DOTALL)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
