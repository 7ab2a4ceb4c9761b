"""What goes wrong with a delivery: broken rows, a column nobody declared, a mis-joined file."""

import numpy as np
import polars as pl

BREAKAGES: tuple[tuple[str, str], ...] = (
    ("birth_date", "1803-05-17"),
    ("birth_date", "2041-02-03"),
    ("birth_date", "31/02/1975"),
    ("balance", "-250.00"),
    ("plan", "platinum"),
    ("email", "no address given"),
    ("tenure_months", "-7"),
    ("logins", "often"),
    ("card_spend", "NaN"),
    ("left", "perhaps"),
)
"""Column and what stands there instead; each breaks one rule of the contract."""

EMPLOYERS = ("Brass Lantern Works", "Harbour Mill", "Copper Kettle Foods", "Nine Elms Printing")
SHIFTS = {"balance": 1.7, "logins": 1.8, "card_spend": 2.0}
"""Inputs taken over a longer period than they should be: each value for itself looks plausible."""


def broken_rows(text: pl.DataFrame, rng: np.random.Generator, share: float = 1 / 15) -> pl.DataFrame:
    """The delivery with a share of its rows broken, one cell each, the kinds of `BREAKAGES` in equal parts."""
    num = round(text.height * share)
    rows = rng.choice(text.height, num, replace=False)
    kind = np.full(text.height, -1)
    kind[rows] = np.arange(num) % len(BREAKAGES)
    frame = text.with_columns(_kind=kind)
    for index, (column, value) in enumerate(BREAKAGES):
        broken = pl.when(pl.col("_kind") == index).then(pl.lit(value)).otherwise(column)
        frame = frame.with_columns(broken.alias(column))
    return frame.drop("_kind")


def unknown_column(text: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The delivery with a column `employer` at its end that no declaration names."""
    chosen = pl.Series(EMPLOYERS).gather(rng.integers(0, len(EMPLOYERS), text.height))
    return text.with_columns(employer=chosen)


def misjoined(inputs: pl.DataFrame) -> pl.DataFrame:
    """The inputs as a wrong join gives them: three are sums over too long a period."""
    shifted = inputs.with_columns(pl.col(column) * factor for column, factor in SHIFTS.items())
    return shifted.with_columns(pl.col("logins").round().cast(pl.Int64))


def wrong_outcomes(truth: np.ndarray[tuple[int], np.dtype[np.bool_]], rng: np.random.Generator) -> pl.Series:
    """The outcomes attached to rows drawn by lot: as many of each kind as before, and no relation to the inputs."""
    return pl.Series("left", truth[rng.permutation(truth.size)])
