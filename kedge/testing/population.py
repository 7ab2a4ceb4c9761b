"""The customers of the simulated bank: who they are, invented from end to end.

Names come from short lists, e-mail domains are those kept for examples (RFC 2606), phone numbers those kept for
fiction (555-0100 to 555-0199). `_`-columns are what only the simulator knows; they never leave it.
"""

from datetime import date

import numpy as np
import polars as pl

_FIRST = (
    "Alva Benno Calla Dorin Edda Falk Gesa Hanko Ilka Jorun Kaia Lorin Maren Nilo Oda Perrin Quila Runa Selin Tamo "
    "Ulla Veit Wilka Xenia Yorick Zelda Arvid Bente Corin Dalia Enno Freya Gunde Hiske Ivar Jella Korbin Lilja Mats "
    "Nerea"
)
_LAST = (
    "Abelwick Brackmoor Calderby Dunfell Elstrand Farnholt Grimsay Harkwell Inverley Jarrowby Keldrick Lindqvale "
    "Marrowdale Nethercott Ostermark Pellwyn Quarrington Ravnholm Selkirby Thornvale Uldane Varnholt Westerlode "
    "Yarrowell Zandvoss Ashgrove Birkendahl Copperfell Drummhall Eastmere Fjordane Gladwick Hollowell Ingershaw "
    "Kirkwald Loxmoor Millbrandt Norrvik Oakhanger Plumridge"
)
FIRST_NAMES, LAST_NAMES = tuple(_FIRST.split()), tuple(_LAST.split())
MAIL_DOMAINS = ("example.com", "example.net", "example.org")
AREA_SHARES = (0.26, 0.22, 0.20, 0.17, 0.15)  # of the zip areas 1 to 5: uneven, but no area small enough to single out
FLEX_BEFORE = 0.22  # of accounts younger than a year: with a mean tenure of 80 months, about 3 % of all customers
MOVERS = 0.5  # of accounts older than a year and a half: about 40 % of all customers


def customers(num: int, seed: int, today: date) -> pl.DataFrame:
    """One row per customer, in a fixed order.

    Args:
        num: how many.
        seed: the bank's seed; the same one gives the same people.
        today: the first night of the history; ages and tenures are counted back from it.
    """
    rng = np.random.default_rng([seed, 1])
    born = np.datetime64(today) - np.timedelta64(1, "D") - rng.integers(18 * 366, 80 * 365, num)
    tenure = np.minimum(rng.exponential(80, num), 480).astype(np.int64)
    frame = _contacts(num, rng).with_columns(
        pl.Series("birth_date", born.astype("datetime64[D]")),
        _wealth=rng.normal(size=num),
        _online=rng.normal(size=num),
        _tenure=tenure,
        _mover=(tenure >= 18) & (rng.random(num) < MOVERS),
        _plan=pl.Series(np.where(rng.random(num) < 0.6, "basic", "plus")),
        _young_flex=(tenure < 12) & (rng.random(num) < FLEX_BEFORE),
    )
    plan = pl.when("_young_flex").then(pl.lit("flex")).otherwise("_plan")
    return frame.with_columns(_plan=plan).drop("_young_flex")


def _contacts(num: int, rng: np.random.Generator) -> pl.DataFrame:
    def pick(words: tuple[str, ...]) -> pl.Series:
        return pl.Series(words).gather(rng.integers(0, len(words), num))

    number = pl.int_range(1, num + 1)
    area_codes = rng.integers(2, 10, num) * 100 + rng.integers(20, 100, num)  # never x11, the service numbers
    areas = rng.choice(5, num, p=AREA_SHARES) + 1
    return pl.DataFrame(
        {
            "first": pick(FIRST_NAMES),
            "last": pick(LAST_NAMES),
            "domain": pick(MAIL_DOMAINS),
            "code": area_codes,
            "line": 100 + rng.integers(0, 100, num),
            "zip": areas * 10_000 + rng.integers(0, 10_000, num),
        }
    ).select(
        customer_id=pl.format("C{}", number.cast(pl.String).str.zfill(7)),
        name=pl.format("{} {}", "first", "last"),
        email=pl.format(
            "{}.{}{}@{}", pl.col("first").str.to_lowercase(), pl.col("last").str.to_lowercase(), number, "domain"
        ),
        phone=pl.format("+1 {} 555 0{}", "code", "line"),
        zip=pl.col("zip").cast(pl.String),
    )
