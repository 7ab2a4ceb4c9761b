"""Unicode's normal forms at the price of the few texts that need them: ASCII is in every form already (UAX 15)."""

from typing import Literal

import polars as pl

Form = Literal["NFC", "NFKC"]


def normal(text: pl.Expr, form: Form) -> pl.Expr:
    """Texts in that form, as `str.normalize` gives them; only those beyond ASCII are looked at."""
    return text.map_batches(lambda cells: normalized(cells, form), return_dtype=pl.String, is_elementwise=True)


def normalized(cells: pl.Series, form: Form) -> pl.Series:
    """`normal` of a series of type String."""
    beyond = (cells.str.len_bytes() != cells.str.len_chars()).arg_true()
    if beyond.is_empty():
        return cells
    return cells.clone().scatter(beyond, cells.gather(beyond).str.normalize(form))
