"""Redaction of free text: patterned personal data, and what the row's own identifying columns say.

It knows formats and the row itself. A stranger's name or an address in a note stays: the tests measure that on
published texts, and the documents say so.
"""

import re
from collections.abc import Sequence

import polars as pl

from kedge.patterns import PATTERNS, TRACE
from kedge.privacy.plan import PlannedColumn
from kedge.unicode import normal

# Shorter values and words occur in every other text.
MIN_LETTERS = 3
# Values this long are looked for inside words as well ("ref:C4711-88x"); shorter ones only as words.
LONG = 6
_INVISIBLE = "[\u00ad\u200b-\u200d\u2060\ufeff]"  # zero-width characters would hide an identifier from a pattern
_DATE_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y%m%d")
# Once for polars' engine, once for Python's.
_NAME_LIKE, _NAME = r"^[\p{L}\p{M}\s.,'’-]+$", re.compile(r"(?:[^\W\d_]|[\s.,'’-])+")
_DIGIT, _TEXT = "[0-9]", ".text"  # no declared name can hold a dot
_WORD, _WORDS = r"\p{L}{3,}", re.compile(r"[^\W\d_]{3,}")


def redact(column: str, columns: Sequence[PlannedColumn]) -> pl.Expr:
    """The text column with `<EMAIL>`, `<PHONE>`, ... for patterns and `<COLUMN>` for the row's own values.

    Own values are those of the columns that the plan drops, tokenises or generalises: whole, and of names each
    word, in any letter case; dates in six common writings.

    Args:
        column: of type String.
        columns: all of the plan.
    """
    others = [other for other in columns if other.name != column and _identifies(other)]
    row = pl.struct(pl.col(column).alias(_TEXT), *(pl.col(other.name) for other in others))

    def cut(rows: pl.Series) -> pl.Series:
        frame = rows.struct.unnest()
        written = frame[_TEXT].is_not_null()
        texts = frame.filter(written).with_columns(normal(pl.col(_TEXT).str.replace_all(_INVISIBLE, ""), "NFKC"))
        plain = texts.with_columns(_without_patterns(texts[_TEXT]))
        cleared = _settled(_without_own(plain, others))
        return frame[_TEXT].clone().scatter(written.arg_true(), cleared) if len(cleared) else frame[_TEXT]

    return row.map_batches(cut, return_dtype=pl.String, is_elementwise=True).alias(column)


def tag(kind: str) -> str:
    """What stands in a text for something of that kind, or of that column."""
    return f"<{kind.upper()}>"


def tags(columns: Sequence[PlannedColumn]) -> dict[str, str]:
    """Every tag that a redacted text may hold, by kind or column."""
    return {kind: tag(kind) for kind in (*PATTERNS, *(column.name for column in columns if _identifies(column)))}


def leftover(column: str) -> pl.Expr:
    """Number of texts in which a pattern finds something; 0 after redaction."""
    traced = pl.col(column).filter(pl.col(column).str.contains(TRACE))
    return _matches(traced).sum()


def _matches(text: pl.Expr) -> pl.Expr:
    return pl.any_horizontal(text.str.contains(pattern) for pattern in PATTERNS.values())


def _without_patterns(texts: pl.Series) -> pl.Series:
    traced = texts.str.contains(TRACE).arg_true()
    if traced.is_empty():
        return texts
    text = pl.lit(texts.gather(traced))
    for kind, pattern in PATTERNS.items():
        text = text.str.replace_all(pattern, tag(kind))
    return texts.clone().scatter(traced, pl.select(text).to_series())


def _settled(texts: pl.Series) -> pl.Series:
    """The texts with the patterns replaced until none finds anything: a cut is an edge, and what had none before
    (`555-0123Johnson` without the name) may begin or end at it. It ends, since a tag of a pattern matches none."""
    while len(found := _found(texts)):
        texts = texts.clone().scatter(found, _without_patterns(texts.gather(found)))
    return texts


def _found(texts: pl.Series) -> pl.Series:
    """Positions of the texts in which a pattern finds something."""
    traced = texts.str.contains(TRACE).arg_true()
    searched = texts.gather(traced).to_frame(_TEXT)
    return traced.gather(searched.select(_matches(pl.col(_TEXT)).arg_true()).to_series())


def _identifies(column: PlannedColumn) -> bool:
    """A number in bins (an age, an amount) does not, and would take every number of a text along."""
    if column.treatment in (None, "redact") or column.type in ("bool", "float"):
        return False
    return column.treatment != "bins" or column.unit is not None


def _forms(column: PlannedColumn) -> list[pl.Expr]:
    """The column's value as it may be written in a text."""
    value = pl.col(column.name)
    if _is_day(column):
        return [value.dt.strftime(form) for form in _DATE_FORMS]
    return [normal(value.cast(pl.String), "NFKC").str.strip_chars()]


def _is_day(column: PlannedColumn) -> bool:
    return column.type in ("date", "datetime")


def _without_own(rows: pl.DataFrame, others: Sequence[PlannedColumn]) -> pl.Series:
    """The texts without own values; Python touches only the rows in which one may occur."""
    lowered = rows.select(pl.col(_TEXT).str.to_lowercase()).to_series()
    numbered = lowered.str.contains(_DIGIT)
    at = [_suspects(rows.select(other.name), other, lowered, numbered) for other in others]
    found = pl.concat(at).unique().sort() if at else pl.Series([], dtype=pl.UInt32)
    if found.is_empty():
        return rows[_TEXT]
    forms = [(tag(other.name), form) for other in others for form in _forms(other)]
    owners = [owner for owner, _ in forms]
    chosen = rows[found].select(_TEXT, *(form.alias(str(number)) for number, (_, form) in enumerate(forms)))
    return rows[_TEXT].clone().scatter(found, [_replace(row, owners) for row in chosen.iter_rows()])


def _suspects(values: pl.DataFrame, column: PlannedColumn, lowered: pl.Series, numbered: pl.Series) -> pl.Series:
    """Positions of the texts in which the column's value, or a word of it, may occur.

    A value with a digit in it cannot be in a text without one: most pairs are settled by that.
    """
    value = pl.col(column.name)
    possible = value.is_not_null() & numbered
    if not _is_day(column):
        possible |= value.is_not_null() & ~value.cast(pl.String).str.contains(_DIGIT)
    at = values.select(possible.arg_true()).to_series()
    texts = lowered.gather(at)
    forms = values[at].select(form.str.to_lowercase().alias(str(number)) for number, form in enumerate(_forms(column)))
    return pl.concat([at.gather(_may_occur(texts, form)) for form in forms.iter_columns()])


def _may_occur(texts: pl.Series, values: pl.Series) -> pl.Series:
    """Positions at which the value, or a word of it if it looks like a name, is in the text; all in lower case."""
    text, value = pl.col("text"), pl.col("value")
    words = pl.when(value.str.contains(_NAME_LIKE)).then(value).str.extract_all(_WORD)
    pairs = pl.DataFrame([texts.alias("text"), values.alias("value")]).with_columns(words=words)
    most = int(pairs.select(pl.col("words").list.len().max()).item() or 0)
    inside = [text.str.contains(value, literal=True) & (value.str.len_chars() >= MIN_LETTERS)]
    for number in range(most):  # in the middle of another word as well: `_cut` knows better
        inside.append(text.str.contains(pl.col("words").list.get(number, null_on_oob=True), literal=True))
    return pairs.select(pl.any_horizontal(found.fill_null(False) for found in inside).arg_true()).to_series()


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
