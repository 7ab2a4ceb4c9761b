import polars as pl

from kedge.privacy.cost import costs


def test_the_column_that_sets_people_apart_costs_most():
    """Ages repeat, zip codes do not: only without zip are classes of four left."""
    frame = pl.DataFrame({"age": ["30"] * 4 + ["40"] * 4, "zip": [str(n) for n in range(8)], "id": range(8)})
    found = costs(frame, ("age", "zip"), 4, "id")
    assert (found.now, found.without) == (1.0, {"age": 1.0, "zip": 0.0})
    assert found.worst == "zip"
    assert "Column zip costs most: 100.0% of the rows are in classes below k, without it 0.0%" in found.advice


def test_where_no_single_column_is_to_blame():
    frame = pl.DataFrame({"age": [str(n) for n in range(8)], "zip": [str(n) for n in range(8)], "id": range(8)})
    found = costs(frame, ("age", "zip"), 4, "id")
    assert "too few people for its quasi-identifiers" in found.advice


def test_a_single_quasi_identifier():
    frame = pl.DataFrame({"zip": [str(n) for n in range(8)], "id": range(8)})
    assert costs(frame, ("zip",), 4, "id").without == {"zip": 0.0}
    assert costs(frame, (), 9, "id").worst is None
