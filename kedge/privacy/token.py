"""Tokens: a keyed stand-in for an identifier, the same for the same person, meaningless without the key."""

import re
import unicodedata
from hashlib import blake2b

import polars as pl

TOKEN_BYTES = 16
# Characters that nobody sees, such as zero-width blanks, soft hyphens and changes of direction (Unicode's
# Default_Ignorable_Code_Point).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_BLANKS = " \t\n\r\v\f\x1c\x1d\x1e\x1f"  # what `str.strip` takes of ASCII, for polars


def normalize(value: str) -> str:
    """The form under which writings of one identifier are equal: case, width, accents' encoding, what nobody sees,
    blanks around.

    Compatibility caseless matching of Unicode (core specification, D146) without the characters that D147 leaves out,
    then without surrounding blanks. Letters that only look alike (a Cyrillic and a Latin a) stay different.
    """
    if value.isascii():
        return value.strip(_BLANKS).lower()
    folded = unicodedata.normalize("NFD", _INVISIBLE.sub("", value)).casefold()
    folded = unicodedata.normalize("NFKD", folded).casefold()
    return unicodedata.normalize("NFKD", folded).strip()


def tokens(values: pl.Series, key: bytes) -> pl.Series:
    """Keyed BLAKE2b (RFC 7693) of each value's normalised form: 32 hexadecimal digits (128 bits).

    Missing and blank values stand for nobody and stay missing. Every distinct value is hashed once.

    Args:
        values: identifiers of any type; compared by their text.
        key: secret of the token's domain, 32 bytes; another key gives unrelated tokens.
    """
    texts = values.cast(pl.String)
    distinct = texts.drop_nulls().unique()
    if len(distinct) == len(texts):  # nothing to spare, and no join to bring the tokens back to their rows
        return _hashed(_normalized(texts), key).alias(values.name)
    made = pl.DataFrame({"text": distinct, "token": _hashed(_normalized(distinct), key)})
    return texts.to_frame("text").join(made, on="text", how="left", maintain_order="left")["token"].alias(values.name)


def _normalized(distinct: pl.Series) -> pl.Series:
    """`normalize`, by polars for what is ASCII."""
    plain = distinct.str.strip_chars(_BLANKS).str.to_lowercase()
    other = (distinct.str.len_bytes() != distinct.str.len_chars()).arg_true()
    return (
        plain.scatter(other, [normalize(value) for value in distinct.gather(other).to_list()]) if len(other) else plain
    )


def _hashed(normalized: pl.Series, key: bytes) -> pl.Series:
    keyed = blake2b(digest_size=TOKEN_BYTES, key=key, person=b"kedge.token").copy  # copied, not keyed, per value

    def token(value: str) -> str:
        state = keyed()
        state.update(value.encode())
        return state.hexdigest()

    made = [token(value) if value else None for value in normalized.to_list()]
    return pl.Series(made, dtype=pl.String)


def token(column: str, key: bytes) -> pl.Expr:
    """`tokens` as an expression for lazy frames."""
    return pl.col(column).map_batches(lambda values: tokens(values, key), return_dtype=pl.String, is_elementwise=True)
