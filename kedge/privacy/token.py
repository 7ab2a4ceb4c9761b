"""Tokens: a keyed stand-in for an identifier, the same for the same person, meaningless without the key."""

import unicodedata
from hashlib import blake2b

import polars as pl

TOKEN_BYTES = 16


def normalize(value: str) -> str:
    """The form under which writings of one identifier are equal: case, width, accents' encoding, blanks around.

    Compatibility caseless matching of Unicode (core specification, D146), then without surrounding blanks.
    """
    if value.isascii():
        return value.strip().lower()
    folded = unicodedata.normalize("NFD", value).casefold()
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
    made = pl.Series([_token(value, key) for value in distinct.to_list()], dtype=pl.String)
    return texts.replace_strict(distinct, made, default=None, return_dtype=pl.String).alias(values.name)


def _token(value: str, key: bytes) -> str | None:
    normalized = normalize(value)
    if not normalized:
        return None
    return blake2b(normalized.encode(), digest_size=TOKEN_BYTES, key=key, person=b"kedge.token").hexdigest()


def token(column: str, key: bytes) -> pl.Expr:
    """`tokens` as an expression for lazy frames."""
    return pl.col(column).map_batches(lambda values: tokens(values, key), return_dtype=pl.String, is_elementwise=True)
