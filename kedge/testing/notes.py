"""Free text about a customer: mostly harmless, now and then with a phone number, an address or a name in it."""

import numpy as np
import polars as pl

PLAIN = (
    "asked about opening hours",
    "card limit raised",
    "moved the standing order to the first of the month",
    "wants paper statements",
    "interested in a savings plan",
    "online banking reset",
    "lost card replaced",
    "talked about a mortgage; no decision yet",
)
PERSONAL = (
    ("call back at {}", ("phone",)),
    ("statement goes to {}", ("email",)),
    ("{} asked about the flex plan", ("name",)),
    ("{} confirmed the new address; mail to {}", ("name", "email")),
    ("spouse can be reached at {}", ("_other_phone",)),
)
MISSING_SHARE, PERSONAL_SHARE = 0.25, 0.16


def notes(people: pl.DataFrame, rng: np.random.Generator) -> pl.Series:
    """One note per row of `people` (columns name, email, phone), null where nobody wrote one."""
    num = people.height
    kind = rng.random(num)
    plain = pl.Series(PLAIN).gather(rng.integers(0, len(PLAIN), num))
    text = pl.lit(plain)
    for chosen, (template, columns) in enumerate(PERSONAL):
        text = pl.when(pl.col("_personal") == chosen).then(pl.format(template, *columns)).otherwise(text)
    text = pl.when(pl.col("_kind") < MISSING_SHARE).then(None).otherwise(text)
    personal = np.where(kind > 1 - PERSONAL_SHARE, rng.integers(0, len(PERSONAL), num), -1)
    extra = people.with_columns(_personal=personal, _kind=kind, _other_phone=people["phone"].shift(1, fill_value=""))
    return extra.select(notes=text).to_series()
