"""Redaction of free text: patterned personal data, and what the row's own identifying columns say.

It knows formats and the row itself. A stranger's name or an address in a note stays: the tests measure that on
published texts, and the documents say so.
"""

import re
from collections.abc import Sequence

import polars as pl

from kedge.patterns import PATTERNS
from kedge.privacy.plan import PlannedColumn

# Shorter values and words occur in every other text.
MIN_LETTERS = 3
# Values this long are looked for inside words as well ("ref:C4711-88x"); shorter ones only as words.
LONG = 6
_INVISIBLE = "[\u00ad\u200b-\u200d\u2060\ufeff]"  # zero-width characters would hide an identifier from a pattern
_DATE_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y%m%d")
# Once for polars' engine, once for Python's.
_NAME_LIKE, _NAME = r"^[\p{L}\p{M}\s.,'’-]+$", re.compile(r"(?:[^\W\d_]|[\s.,'’-])+")
_WORD, _WORDS = r"\p{L}{3,}", re.compile(r"[^\W\d_]{3,}")


def redact(column: str, columns: Sequence[PlannedColumn]) -> pl.Expr:
    """The text column with `<EMAIL>`, `<PHONE>`, ... for patterns and `<COLUMN>` for the row's own values.

    Own values are those of the columns that the plan drops, tokenises or generalises: whole, and of names each
    word, in any letter case; dates in six common writings.

    Args:
        column: of type String.
        columns: all of the plan.
    """
    text = _without_patterns(pl.col(column).str.replace_all(_INVISIBLE, "").str.normalize("NFKC"))
    own = [form for other in columns if other.name != column for form in _forms(other)]
    owners = [owner for owner, _ in own]
    row = pl.struct(text.alias("text"), *(value.alias(str(at)) for at, (_, value) in enumerate(own)))

    def cut(rows: pl.Series) -> pl.Series:
        return _settled(_without_own(rows, owners) if owners else rows.struct.field("text"))

    return row.map_batches(cut, return_dtype=pl.String, is_elementwise=True).alias(column)


def tag(kind: str) -> str:
    """What stands in a text for something of that kind, or of that column."""
    return f"<{kind.upper()}>"


def tags(columns: Sequence[PlannedColumn]) -> dict[str, str]:
    """Every tag that a redacted text may hold, by kind or column."""
    return {kind: tag(kind) for kind in (*PATTERNS, *(column.name for column in columns if _identifies(column)))}


def leftover(column: str) -> pl.Expr:
    """Number of texts in which a pattern finds something; 0 after redaction."""
    return _matches(column).sum()


def _matches(column: str) -> pl.Expr:
    return pl.any_horizontal(pl.col(column).str.contains(pattern) for pattern in PATTERNS.values())


def _without_patterns(text: pl.Expr) -> pl.Expr:
    for kind, pattern in PATTERNS.items():
        text = text.str.replace_all(pattern, tag(kind))
    return text


def _settled(texts: pl.Series) -> pl.Series:
    """The texts with the patterns replaced until none finds anything: a cut is an edge, and what had none before
    (`555-0123Johnson` without the name) may begin or end at it. It ends, since a tag of a pattern matches none."""
    frame = texts.to_frame("text")
    while frame.select(_matches("text").any()).item():
        found = pl.when(_matches("text")).then(_without_patterns(pl.col("text"))).otherwise("text")
        frame = frame.with_columns(found.alias("text"))
    return frame["text"]


def _identifies(column: PlannedColumn) -> bool:
    """A number in bins (an age, an amount) does not, and would take every number of a text along."""
    if column.treatment in (None, "redact") or column.type in ("bool", "float"):
        return False
    return column.treatment != "bins" or column.unit is not None


def _forms(column: PlannedColumn) -> list[tuple[str, pl.Expr]]:
    """The tag of an identifying column and its value as it may be written in a text; nothing for other columns."""
    if not _identifies(column):
        return []
    value = pl.col(column.name)
    if column.type in ("date", "datetime"):
        return [(tag(column.name), value.dt.strftime(form)) for form in _DATE_FORMS]
    return [(tag(column.name), value.cast(pl.String).str.normalize("NFKC").str.strip_chars())]


def _without_own(rows: pl.Series, owners: Sequence[str]) -> pl.Series:
    """The texts without own values; Python touches only the rows in which one may occur."""
    frame = rows.struct.unnest()
    lowered = frame.select(pl.all().str.to_lowercase()).with_columns(words=pl.col("text").str.extract_all(_WORD))
    found = frame.with_row_index("at").filter(
        lowered.select(pl.any_horizontal(_may_occur(str(at)) for at in range(len(owners)))).to_series()
    )
    if found.is_empty():
        return frame["text"]
    replaced = [_replace(row, owners) for row in found.drop("at").iter_rows()]
    return frame["text"].clone().scatter(found["at"], replaced)


def _may_occur(form: str) -> pl.Expr:
    """Whether the value, or a word of it if it looks like a name, is in the text; all in lower case."""
    value = pl.col(form)
    whole = pl.col("text").str.contains(value, literal=True) & (value.str.len_chars() >= MIN_LETTERS)
    name = pl.when(value.str.contains(_NAME_LIKE)).then(value)
    words = pl.col("words").list.set_intersection(name.str.extract_all(_WORD)).list.len() > 0
    return whole.fill_null(False) | words.fill_null(False)


def _replace(row: tuple[str | None, ...], owners: Sequence[str]) -> str:
    text, *values = row
    assert text is not None
    for owner, value in zip(owners, values, strict=True):
        if value is None or len(value) < MIN_LETTERS:
            continue
        text = _cut(text, value, owner, inside=len(value) >= LONG)
        if _NAME.fullmatch(value):
            for word in _WORDS.findall(value):
                text = _cut(text, word, owner, inside=False)
    return text


def _cut(text: str, value: str, owner: str, *, inside: bool) -> str:
    """Put `owner` wherever `value` stands, in any letter case; `inside`: in the middle of a word as well."""
    lowered, wanted = _lower(text), _lower(value)
    pieces, start, at = [], 0, lowered.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if inside or not (lowered[at - 1 : at].isalnum() or lowered[end : end + 1].isalnum()):
            pieces += [text[start:at], owner]
            start = end
        at = lowered.find(wanted, end)
    return "".join([*pieces, text[start:]]) if pieces else text


def _lower(text: str) -> str:
    """Lower case of the same length, so that positions stay (`İ` has two characters in lower case)."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c if len(c.lower()) > 1 else c.lower() for c in text)
