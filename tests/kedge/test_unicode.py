import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.unicode import normal, normalized


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
@given(texts=st.lists(st.none() | st.text(max_size=6) | st.sampled_from(["n\u0303", "ﬁ", "Å", "plain", "İ"])))
def test_equal_to_what_polars_does_to_all_of_them(form, texts):
    cells = pl.Series("x", texts, dtype=pl.String)
    assert normalized(cells, form).equals(cells.str.normalize(form), check_names=True)
    frame = cells.to_frame().lazy()
    for engine in ("in-memory", "streaming"):
        assert frame.select(normal(pl.col("x"), form)).collect(engine=engine).to_series().equals(
            cells.str.normalize(form)
        )  # fmt: skip


def test_the_series_that_was_given_stays():
    cells = pl.Series(["n\u0303", "plain"])
    assert normalized(cells, "NFC").to_list() == ["ñ", "plain"]
    assert cells.to_list() == ["n\u0303", "plain"]
