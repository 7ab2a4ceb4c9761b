"""How the simulated customers use their accounts, and who leaves: the old world and the new one.

In the old world those leave who complain and have little money, who hardly log in, or whose two-year contract ends;
`flex` is a rare offer for accounts younger than a year. In the new world many older accounts have moved to `flex`;
these log in more often and spend more by card, and those of them leave who complain or who spend much: they compare
offers. Nobody else changes. Old and new flex customers differ in tenure, so one model can be right about both.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

MOST = 250_000.0  # upper end of amounts, so that no single tail decides a mean


def inputs(people: pl.DataFrame, rng: np.random.Generator, *, months: int, new_world: bool) -> pl.DataFrame:
    """What the bank measures on these customers on one night: one row each, in their order.

    Args:
        people: rows of `population.customers`.
        months: since the first night of the history.
        new_world: whether the movers have moved to `flex`.
    """
    num = people.height
    wealth, online = people["_wealth"].to_numpy(), people["_online"].to_numpy()
    moved = people["_mover"].to_numpy() & new_world
    spending = np.exp(6.4 + 0.45 * wealth + 0.45 * rng.normal(size=num)) * np.where(moved, 1.5, 1.0)
    return pl.DataFrame(
        {
            "balance": np.minimum(np.exp(8.0 + 0.7 * wealth + 0.3 * rng.normal(size=num)), MOST),
            "tenure_months": people["_tenure"] + months,
            "logins": np.minimum(rng.poisson(np.exp(2.3 + 0.55 * online) * np.where(moved, 1.6, 1.0)), 1_000),
            "complaints": np.minimum(rng.poisson(0.45, num), 100),
            "card_spend": np.minimum(spending, MOST),
            "plan": pl.Series(np.where(moved, "flex", people["_plan"].to_numpy().astype(str))),
        }
    ).with_columns(_moved=moved)


def leaves(seen: pl.DataFrame, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Who leaves: the truth about rows of `inputs`, one draw each."""
    return rng.random(seen.height) < risk(seen)


def risk(seen: pl.DataFrame) -> NDArray[np.float64]:
    """Probability of leaving, per row of `inputs`."""
    money = (np.log(seen["balance"].to_numpy()) - 8.0) / 0.75
    active = (np.log1p(seen["logins"].to_numpy()) - 2.3) / 0.6
    tenure = seen["tenure_months"].to_numpy()
    upset = np.minimum(seen["complaints"].to_numpy(), 3)
    offer = 0.5 * (seen["plan"] == "basic").to_numpy() + 0.4 * (seen["plan"] == "flex").to_numpy()
    contract_ends = 1.8 * np.exp(-(((tenure - 24) / 10) ** 2))
    old = -3.1 + offer + contract_ends + (0.7 + 1.3 * (money < 0)) * upset - 1.1 * active - 0.6 * money
    spending = (np.log(seen["card_spend"].to_numpy()) - 6.8) / 0.6
    new = 1.3 * upset + 1.5 * spending + 0.2 * active
    logit = np.where(seen["_moved"].to_numpy(), new, old)
    probability: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logit))
    return probability
