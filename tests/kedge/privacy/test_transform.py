from collections.abc import Callable
from hashlib import blake2b

import polars as pl

from kedge.privacy import CODE_VERSION, Plan, release, transform
from kedge.privacy.plan import METHOD
from kedge.privacy.transform import TokenKeys
from kedge.spec import Declaration


def test_columns_that_cross_in_declared_order(
    day: Callable[..., pl.DataFrame], declaration: Declaration, secrets: TokenKeys
):
    frame = day(50).with_columns(stray=pl.lit("left behind"))
    made = transform(frame, Plan.of(declaration), secrets)
    assert made.columns == ["_row", *declaration.released]
    assert made["_row"].equals(frame["_row"])
    assert made.schema["birth_date"] == pl.Date
    assert made["balance"].equals(frame["balance"])
    assert set(made["zip"]) <= set("12345")


def test_lazy_and_eager_give_the_same(day: Callable[..., pl.DataFrame], declaration: Declaration, secrets: TokenKeys):
    plan = Plan.of(declaration)
    lazy = transform(day(500).lazy(), plan, secrets)
    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect(engine="streaming").sort("_row").equals(transform(day(500), plan, secrets))


def test_columns_of_one_domain_share_their_tokens(declare: Callable[..., Declaration], secrets: TokenKeys):
    columns = {
        "customer": {"type": "string", "role": "subject", "privacy": "token", "domain": "person"},
        "referrer": {"type": "string", "privacy": "token", "domain": "person"},
        "account": {"type": "string", "privacy": "token"},
        "balance": {"type": "float"},
        "left": {"type": "bool", "role": "target"},
    }
    frame = pl.DataFrame({"customer": ["a1"], "referrer": [" A1"], "account": ["a1"], "balance": [1.0], "left": [True]})
    made = transform(frame, Plan.of(declare(columns=columns)), secrets).row(0, named=True)
    assert made["customer"] == made["referrer"] != made["account"]


def test_dropped_rows_come_back_without_quasi_identifiers(
    day: Callable[..., pl.DataFrame], declare: Callable[..., Declaration], secrets: TokenKeys
):
    frame = day(60)
    odd = frame.with_columns(birth_date=pl.when(pl.col("_row") < 3).then(pl.date(1901, 1, 1)).otherwise("birth_date"))
    odd = odd.with_columns(zip=pl.when(pl.col("_row") < 3).then(pl.lit("99999")).otherwise(pl.lit("10115")))
    released, dropped = release(odd, Plan.of(declare(privacy={"k": 5})), secrets)
    assert dropped["_row"].to_list()[:3] == [0, 1, 2]
    assert dropped.select(pl.col("birth_date", "zip").null_count()).row(0) == (dropped.height, dropped.height)
    assert released.schema == dropped.schema
    assert set(released["_row"]) | set(dropped["_row"]) == set(frame["_row"])


def test_golden_digest(day: Callable[..., pl.DataFrame], declaration: Declaration, secrets: TokenKeys):
    """Whoever changes what is released raises CODE_VERSION, and METHOD too if a model's rows change; then this."""
    released, dropped = release(day(200), Plan.of(declaration), secrets)
    text = released.write_csv() + dropped.write_csv()
    assert (CODE_VERSION, METHOD) == (1, 1)
    assert blake2b(text.encode(), digest_size=16).hexdigest() == "d6ceb2038b59ead99e855b155f76f33e"
