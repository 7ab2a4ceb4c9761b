"""The first line of a delivery as column names.

Names are taken only if at least half of the declared columns are among them: in a file without a header the first
line is a person, and column names are shown to people.
"""

from collections.abc import Sequence

from kedge.errors import Terminal
from kedge.source.limits import MAX_COLUMNS
from kedge.spec import column_name

_OWN = "_row"  # what kedge adds to every row


def header_names(file: str, fields: Sequence[str], declared: Sequence[str]) -> tuple[str, ...]:
    """Column names of a header, by `kedge.spec.column_name`.

    Raises:
        Terminal: it does not look like a header of this pipeline, a field cannot be a name, or a name is there twice
            (letters of either case count as equal).
    """
    names = [column_name(text) for text in fields]
    known = sum(name in names for name in declared)
    if len(names) > MAX_COLUMNS or 2 * known < len(declared):
        got = f"{len(names)} fields, {known} of them declared"
        remedy = "Send a header, or write source.header: false; compare source.delimiter with the file."
        need = f"a first line that names the columns ({len(declared)} are declared, {MAX_COLUMNS} may be there)"
        raise Terminal(file, need=need, got=got, remedy=remedy)
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if name is None or name.lower() in seen or name.lower() == _OWN:
            got = "one that is there already" if name and name.lower() != _OWN else "one that can be none"
            need, remedy = "a name of letters, digits and _", "Rename that column in the file."
            raise Terminal(f"{file}, field {number} of the header", need=need, got=got, remedy=remedy)
        seen.add(name.lower())
    return tuple(name for name in names if name is not None)
