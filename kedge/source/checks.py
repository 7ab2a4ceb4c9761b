"""Names of the checks of a delivery. Standard library only: assets name them at location load."""

from kedge.spec import Declaration

DATED = "dated_rows"


def blocks(declaration: Declaration) -> dict[str, bool]:
    """Checks of the dataset `raw`, and whether they block: none do, for a row without a date is a row of no night."""
    return {DATED: False} if declaration.source.date_column is not None else {}


def described() -> dict[str, str]:
    """What each check asks."""
    return {DATED: "every row of the files has a date in source.date_column, so that it belongs to a day"}
