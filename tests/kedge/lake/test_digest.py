from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

from kedge.lake import Dataset, Draft, Outcome, produce
from kedge.lake.digest import FrameDigest, bytes_digest, combine
from kedge.outcome import Findings

KEY = bytes(range(32))
TYPES = [
    pl.Boolean, pl.Int8, pl.UInt64, pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Date, pl.Time, pl.Datetime("us"),
    pl.Duration("ms"), pl.Categorical, pl.Decimal(10, 2), pl.List(pl.String), pl.List(pl.Int16),
    pl.Struct({"a": pl.String}),
]  # fmt: skip


def digest(*frames: pl.DataFrame, key: bytes = KEY) -> str:
    found = FrameDigest(key, frames[0].schema)
    for frame in frames:
        found.update(frame)
    return found.hexdigest()


@settings(max_examples=40, deadline=None)
@given(
    frame=dataframes(allowed_dtypes=TYPES, max_cols=4, max_size=30, allow_null=True),
    cuts=st.lists(st.integers(0, 30), max_size=3),
)
def test_chunks_do_not_matter(frame: pl.DataFrame, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, frame.height) for cut in cuts), frame.height]
    pieces = [frame.slice(a, b - a) for a, b in pairwise(edges)]
    assert digest(*pieces) == digest(frame.rechunk()) == digest(pl.concat([frame.clear(), frame], rechunk=False))


@settings(max_examples=40, deadline=None)
@given(
    frame=dataframes(allowed_dtypes=TYPES, min_cols=1, max_cols=2, min_size=1, max_size=8, allow_null=True),
    data=st.data(),
)
def test_equal_digests_mean_equal_frames(frame: pl.DataFrame, data: st.DataObject) -> None:
    other = frame.select(pl.all().shuffle(seed=data.draw(st.integers(0, 5))))
    same = frame.cast({pl.Categorical: pl.String}).equals(other.cast({pl.Categorical: pl.String}))
    assert (digest(frame) == digest(other)) == same


CELLS = [
    (["ab", "c"], ["a", "bc"]),
    (["", None], [None, ""]),
    ([0, None], [None, 0]),
    ([1, 2], [2, 1]),
    ([0.0, 1.0], [-0.0, 1.0]),
    ([float("nan"), None], [None, float("nan")]),
    ([["a"], ["b"]], [["a", "b"], []]),
    ([[], None], [None, []]),
    ([["a", None]], [["a", ""]]),
    ([{"a": 1, "b": 2}], [{"a": 2, "b": 1}]),
    ([{"a": None}], [None]),
    ([True, None], [False, None]),
    ([date(2026, 1, 1)], [date(2026, 1, 2)]),
    ([datetime(2026, 1, 1)], [datetime(2026, 1, 1, 0, 0, 1)]),
    ([time(1)], [time(2)]),
    ([timedelta(1)], [timedelta(2)]),
    ([Decimal("1.10")], [Decimal("1.11")]),
    ([b"\x00"], [b""]),
]


@pytest.mark.parametrize(("left", "right"), CELLS)
def test_what_differs_in_a_cell_differs_in_the_digest(left: list[object], right: list[object]) -> None:
    schema = pl.DataFrame({"x": [*left, *right]}).schema
    assert digest(pl.DataFrame({"x": left}, schema=schema)) != digest(pl.DataFrame({"x": right}, schema=schema))


def test_names_types_order_and_rows_count() -> None:
    base = pl.DataFrame({"a": [1], "b": [1]})
    others = [
        base.rename({"a": "c"}),
        base.select("b", "a"),
        base.cast(pl.Int32),
        base.clear(),
        base.select("a"),
        pl.concat([base, base]),
    ]
    assert len({digest(other) for other in [base, *others]}) == len(others) + 1
    assert digest(pl.DataFrame()) != digest(base)


def test_every_nan_is_the_same() -> None:
    odd = pl.Series("x", [0x7FF8000000000001], dtype=pl.UInt64).to_numpy().view("float64")
    assert digest(pl.DataFrame({"x": odd})) == digest(pl.DataFrame({"x": [float("nan")]}))


def test_categories_count_as_their_text() -> None:
    one = pl.DataFrame({"x": pl.Series(["b", "a"], dtype=pl.Enum(["a", "b"]))})
    two = pl.DataFrame({"x": pl.Series(["b", "a"], dtype=pl.Enum(["b", "a", "c"]))})
    assert digest(one) == digest(two)


def test_golden() -> None:
    frame = pl.DataFrame({"_row": pl.Series([0, 1], dtype=pl.UInt64), "name": ["Ada", None], "tags": [["x"], []]})
    assert digest(frame) == "5f3fb9e0ce77bcc71a24ac9c7cf0a18289ce366118aae469ba30dd64d1b8ae50"
    assert (
        combine(KEY, {"a": bytes_digest(KEY, b"x")})
        == "521c1f70b5a8bd433bca80bb405e80774f9868346b6b429e15fbe129e4364ae1"
    )


def test_the_key_counts() -> None:
    assert digest(pl.DataFrame({"a": [1]})) != digest(pl.DataFrame({"a": [1]}), key=bytes(32))
    assert bytes_digest(KEY, b"x") != bytes_digest(bytes(32), b"x")


def test_storing_does_not_change_it(raw: Dataset, store: Callable[..., Outcome], frame: pl.DataFrame) -> None:
    whole = store(raw, "2026-01-01").version
    parts = pl.concat([frame.head(1), frame.tail(999)], rechunk=False)
    in_parts = store(raw, "2026-01-02", rows=parts.lazy()).version
    assert whole.manifest.content_digest == in_parts.manifest.content_digest
    stored = {
        "rows.parquet": digest(frame, key=raw.secrets.digest),
        "report.html": bytes_digest(raw.secrets.digest, b"a report"),
    }
    assert whole.manifest.content_digest == combine(raw.secrets.digest, stored)


@settings(max_examples=10, deadline=None)
@given(frame=dataframes(allowed_dtypes=TYPES, min_cols=1, max_cols=4, max_size=20, allow_null=True))
def test_any_frame_survives_the_lake(frame: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> None:
    from kedge.lake import Lake

    folder = tmp_path_factory.mktemp("lake")
    lake = Lake.open(folder / "lake", folder / "keys")

    def write(draft: Draft) -> Findings:
        draft.write_frame(frame)
        return Findings()

    version = produce(lake.dataset("open", "p", "d"), "all", inputs={}, declared={}, code=1, write=write).version
    read = version.scan().collect()
    assert digest(read) == digest(frame)
    assert version.manifest.rows == frame.height
